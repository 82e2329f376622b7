import { execa } from "execa";
import * as assert from "node:assert/strict";
import { guestRan, renderBootSector } from "../../providers/host-facts/core/boot-sector.ts";
import * as facts from "../../providers/host-facts/provider.ts";
import { readHost } from "../../providers/host-facts/effects/read-host.ts";
import { startHypervisor, type TestHypervisor } from "../support/hypervisor.ts";
import { requireNeeds } from "../support/needs.ts";
import { PulumiProject } from "../support/pulumi-project.ts";
import { makeScratch } from "../support/scratch.ts";
import { startSshd } from "../support/sshd.ts";

describe("the guest that shows whether an accelerator works", function () {
  this.timeout(30_000);

  it("runs to its end where guests run, as they do when emulated", async function () {
    requireNeeds(this, ["qemu"]);
    const scratch = makeScratch("sector");
    try {
      const file = `${scratch.folder}/sector`;
      await execa("bash", ["-c", `printf '${renderBootSector()}' >"$1"`, "bash", file]);
      const qemu = await execa(
        "qemu-system-x86_64",
        [
          ...["-accel", "tcg", "-M", "pc", "-m", "16", "-nodefaults", "-display", "none"],
          ...["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"],
          ...["-drive", `format=raw,file=${file}`],
        ],
        { reject: false, timeout: 20_000 },
      );
      assert.equal(qemu.exitCode, guestRan, qemu.stderr);
    } finally {
      scratch.remove();
    }
  });
});

describe("facts of a host without libvirt", function () {
  this.timeout(30_000);

  it("says that libvirt does not answer, and what to do", async function () {
    requireNeeds(this, ["qemu", "libvirt"]);
    await assert.rejects(
      facts.check(
        {},
        { hypervisorUri: "qemu+unix:///system?socket=/nowhere/sock", requestedAccelerator: "qemu" },
      ),
      {
        name: "GroundworkError",
        code: "libvirt-not-answering",
        message: /\/nowhere\/sock.*make up/s,
      },
    );
  });

  it("looks at a remote host over SSH", async function () {
    requireNeeds(this, ["root", "sshd", "qemu"]);
    const sshd = await startSshd();
    try {
      const { name, probe } = await readHost(sshd.uri, { kvm: false });
      assert.equal(name, "127.0.0.1");
      assert.equal(probe.kvm, undefined);
      assert.ok(probe.cpus >= 1 && probe.memoryMiB >= probe.memoryAvailableMiB);
      assert.ok(probe.memoryAvailableMiB > 0);
      assert.match(probe.emulator ?? "", /^\/.*qemu/);
    } finally {
      sshd.stop();
    }
  });
});

describe("facts of a hypervisor", function () {
  this.timeout(240_000);
  let hypervisor: TestHypervisor | undefined;
  let project: PulumiProject | undefined;

  before(async function () {
    requireNeeds(this, [...startHypervisor.needs, "pulumi", "ovmf"]);
    hypervisor = await startHypervisor();
    project = new PulumiProject();
    project.program(
      { HostFacts: "providers/host-facts/resource.ts" },
      `const facts = new HostFacts("host", { hypervisorUri: ${JSON.stringify(hypervisor.uri)}, accelerator: "auto" });
       facts.accelerator.apply((known) => console.log("known: " + known));
       export const { accelerator, acceleratorReason, cpuMode, emulator, firmware, cpus, memoryMiB, memoryAvailableMiB, libvirtVersion, qemuVersion } = facts;`,
    );
    await project.succeed("stack", "init", "test");
  });
  after(async () => {
    if (project !== undefined) await project.pulumi("destroy", "--yes", "--skip-preview");
    project?.remove();
    await hypervisor?.stop();
  });

  it("are known in preview", async () => {
    assert.ok(project);
    assert.match(await project.succeed("preview"), /known: (kvm|qemu)/);
  });

  it("become outputs that agree with each other", async () => {
    assert.ok(project);
    await project.succeed("up", "--yes", "--skip-preview");
    const outputs = JSON.parse(await project.succeed("stack", "output", "--json")) as Record<
      string,
      unknown
    >;
    const kvm = outputs["accelerator"] === "kvm";
    assert.equal(outputs["cpuMode"], kvm ? "host-passthrough" : "maximum");
    assert.equal(outputs["acceleratorReason"] === "", kvm);
    assert.match(String(outputs["libvirtVersion"]), /^\d+\.\d+/);
    assert.match(String(outputs["qemuVersion"]), /^\d+\.\d+/);
    const { uefi } = outputs["firmware"] as { uefi?: { code: string; vars: string } };
    assert.match(uefi?.code ?? "", /^\/.*CODE/);
    assert.match(uefi?.vars ?? "", /^\/.*VARS/);
  });

  it("stay as they are, even when the hypervisor does not answer any more", async () => {
    assert.ok(project && hypervisor);
    await project.succeed("refresh", "--yes", "--skip-preview");
    await hypervisor.stop();
    hypervisor = undefined;
    await project.succeed("preview", "--expect-no-changes");
  });

  it("are refused in one paragraph when it never answered", async () => {
    assert.ok(project);
    project.program(
      { HostFacts: "providers/host-facts/resource.ts" },
      `new HostFacts("other", { hypervisorUri: "qemu+unix:///system?socket=/nowhere/sock", accelerator: "auto" });`,
    );
    const result = await project.pulumi("preview");
    assert.notEqual(result.exitCode, 0);
    assert.match(result.all, /libvirt does not answer at qemu\+unix/);
    assert.doesNotMatch(result.all, /^\s+at .*:\d+:\d+/m);
  });

  it("say on refresh, once and without a stack trace, that the host cannot be asked", async () => {
    assert.ok(project);
    const result = await project.pulumi("refresh", "--yes", "--skip-preview");
    assert.notEqual(result.exitCode, 0);
    assert.doesNotMatch(result.all, /^\s+at .*:\d+:\d+/m);
    const diagnostics = result.all.slice(result.all.indexOf("Diagnostics:"));
    assert.equal(diagnostics.match(/libvirt does not answer/g)?.length, 1, result.all);
  });
});

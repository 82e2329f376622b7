import * as assert from "node:assert/strict";
import {
  type HostFactsInputs,
  lookAgain,
  planFacts,
  refreshFacts,
  refuseAnotherHost,
} from "../../../../providers/host-facts/core/facts.ts";
import type { HostProbe } from "../../../../providers/host-facts/core/probe.ts";

const untried: HostProbe = {
  libvirt: {
    answers: true,
    output:
      "Using library: libvirt 9.0.0\nRunning hypervisor: QEMU 7.2.22\nRunning against daemon: 9.0.1",
  },
  emulator: "/usr/bin/qemu-system-x86_64",
  files: new Set(),
  cpus: 4,
  memoryMiB: 8000,
  memoryAvailableMiB: 6000,
};
const works = { works: true, output: "" };
const probe: HostProbe = { ...untried, kvm: works };
const broken = { works: false, output: "failed to set MSR 0x10a" };
const args = (requestedAccelerator: HostFactsInputs["requestedAccelerator"]): HostFactsInputs => ({
  hypervisorUri: "qemu:///system",
  requestedAccelerator,
});

describe("planFacts", () => {
  for (const { asked, kvm, accelerator, cpuMode, reason } of [
    { asked: "auto", kvm: works, accelerator: "kvm", cpuMode: "host-passthrough", reason: "" },
    { asked: "auto", kvm: broken, accelerator: "qemu", cpuMode: "maximum", reason: broken.output },
    { asked: "kvm", kvm: works, accelerator: "kvm", cpuMode: "host-passthrough", reason: "" },
    { asked: "qemu", kvm: undefined, accelerator: "qemu", cpuMode: "maximum", reason: "" },
  ] as const)
    it(`comes to ${accelerator} when ${asked} is asked and KVM ${kvm?.works === true ? "works" : kvm === undefined ? "was not tried" : "runs no guest"}`, () => {
      const facts = planFacts(args(asked), { ...untried, ...(kvm && { kvm }) }, "hv1");
      assert.equal(facts.accelerator, accelerator);
      assert.equal(facts.cpuMode, cpuMode);
      assert.equal(facts.acceleratorReason, reason);
    });

  it("reads the versions of the daemon and of QEMU", () => {
    const facts = planFacts(args("auto"), probe, "hv1");
    assert.equal(facts.libvirtVersion, "9.0.1");
    assert.equal(facts.qemuVersion, "7.2.22");
  });

  it("refuses KVM that was asked for and runs no guest, with what the guest said", () => {
    assert.throws(() => planFacts(args("kvm"), { ...probe, kvm: broken }, "hv1"), {
      code: "kvm-not-working",
      message: /hv1.*qemu:\/\/\/system.*0x10a/,
    });
  });

  it("refuses a host where libvirt does not answer, in one paragraph", () => {
    const libvirt = { answers: false, output: "error: failed to connect\nerror: No such file" };
    assert.throws(
      () => planFacts(args("auto"), { ...probe, libvirt }, "hv1"),
      (error: Error & { code: string }) =>
        error.code === "libvirt-not-answering" && !error.message.includes("\n"),
    );
  });

  it("refuses a host without QEMU", () => {
    const { emulator, ...rest } = probe;
    assert.ok(emulator);
    assert.throws(() => planFacts(args("auto"), rest, "hv1"), { code: "qemu-missing" });
  });
});

describe("refuseAnotherHost", () => {
  it("takes another way to the same host, and no other host", () => {
    const old = "qemu+ssh://root@hv1/system";
    refuseAnotherHost(old, "qemu+ssh://ops@hv1/system?keyfile=/k");
    for (const now of ["qemu+ssh://root@hv2/system", "qemu:///system"])
      assert.throws(() => refuseAnotherHost(old, now), {
        code: "hypervisor-elsewhere",
        message: /root@hv1.*name of its own/s,
      });
  });
});

describe("another look", () => {
  const old = planFacts(args("auto"), probe, "hv1");
  const seen = planFacts(
    args("auto"),
    {
      ...probe,
      kvm: broken,
      files: new Set(),
      cpus: 8,
      memoryMiB: 16000,
      memoryAvailableMiB: 3000,
    },
    "hv1",
  );

  it("takes what is asked for now, and counts what our machines use as available", () => {
    assert.deepEqual(lookAgain(old, seen), { ...seen, memoryAvailableMiB: 6000 });
    assert.equal(lookAgain(old, { ...seen, memoryMiB: 4000 }).memoryAvailableMiB, 4000);
  });

  it("never changes in a refresh what defines a machine", () => {
    const { accelerator, cpuMode, firmware, emulator } = refreshFacts(old, seen);
    assert.deepEqual(
      { accelerator, cpuMode, firmware, emulator },
      {
        accelerator: old.accelerator,
        cpuMode: old.cpuMode,
        firmware: old.firmware,
        emulator: old.emulator,
      },
    );
  });

  it("takes over the host's size in a refresh, and the same of its memory", () => {
    assert.equal(refreshFacts(old, seen).cpus, 8);
    assert.equal(refreshFacts(old, seen).memoryMiB, 16000);
    assert.equal(refreshFacts(old, seen).memoryAvailableMiB, 6000);
  });
});

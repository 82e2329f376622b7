import * as assert from "node:assert/strict";
import * as path from "node:path";
import { startHypervisor, type TestHypervisor } from "../support/hypervisor.ts";
import { requireNeeds } from "../support/needs.ts";
import { PulumiProject } from "../support/pulumi-project.ts";
import { startSshd, type TestSshd } from "../support/sshd.ts";

const network = `gwfar-${process.pid.toString(36)}`;

describe("a hypervisor behind SSH", function () {
  this.timeout(240_000);
  let hypervisor: TestHypervisor | undefined;
  let sshd: TestSshd | undefined;
  let project: PulumiProject | undefined;

  before(async function () {
    requireNeeds(this, [...startHypervisor.needs, "sshd", "pulumi"]);
    hypervisor = await startHypervisor();
    sshd = await startSshd();
    project = new PulumiProject();
    const socket = new URL(hypervisor.uri).searchParams.get("socket") ?? "";
    const args = {
      ...{ uri: `${sshd.uri}&socket=${socket}`, volumeGroup: "none", accelerator: "qemu" },
      ...{ cache: { encoding: "asIs" }, machines: [], home: project.folder },
      pool: { path: path.join(project.folder, "pool") },
    };
    project.program(
      { Hypervisor: "components/hypervisor.ts", Network: "components/network.ts" },
      `const hypervisor = new Hypervisor("far", ${JSON.stringify(args)});
       new Network("${network}", { hypervisor, mode: "nat", cidr: "192.168.176.0/24", dhcp: true, hosts: [] });`,
    );
    await project.succeed("stack", "init", "test");
  });
  after(async () => {
    await hypervisor?.stop();
    sshd?.stop();
    project?.remove();
  });

  it("is entered as its URI says, with its known_hosts and to its socket", async () => {
    assert.ok(project && hypervisor);
    await project.succeed("up", "--yes", "--skip-preview");
    assert.match(await hypervisor.virsh("net-list", "--name"), new RegExp(network));
  });

  it("is planned by what was there while nobody answers, and changed by nothing", async () => {
    assert.ok(project && sshd);
    sshd.stop();
    const preview = await project.succeed("preview");
    assert.match(preview, /nobody answers/);
    assert.doesNotMatch(preview, /replace|delete|create/);
    const up = await project.pulumi("up", "--yes", "--skip-preview");
    assert.notEqual(up.exitCode, 0);
    assert.match(up.all, /Cannot reach 127\.0\.0\.1 over SSH/);
    assert.doesNotMatch(up.all, /^\s+at .*:\d+:\d+/m);
  });
});

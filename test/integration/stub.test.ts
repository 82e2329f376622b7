import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { execa } from "execa";
import { FakeGuest } from "../support/fake-guest.ts";
import { requireNeeds } from "../support/needs.ts";
import { PulumiProject } from "../support/pulumi-project.ts";
import { undoAtExit } from "../support/scratch.ts";
import { until } from "../support/until.ts";

/** Processes whose working folder is the given one, by their command lines. */
function processesIn(folder: string): { pid: number; command: string }[] {
  return fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        if (fs.readlinkSync(`/proc/${name}/cwd`) !== folder) return [];
        const command = fs.readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
        return [{ pid: Number(name), command }];
      } catch {
        return []; // it ended meanwhile
      }
    });
}

describe("a provider at work", function () {
  this.timeout(240_000);
  const namespace = `gw-stub-${String(process.pid)}`;
  let removeNamespace: () => void = () => undefined;
  let guest: FakeGuest | undefined;
  let project: PulumiProject | undefined;

  before(async function () {
    requireNeeds(this, ["root", "pulumi", "sshd", "netns", "netcat"]);
    execFileSync("ip", ["netns", "add", namespace]);
    removeNamespace = undoAtExit(() => execFileSync("ip", ["netns", "del", namespace]));
    execFileSync("ip", ["-n", namespace, "link", "set", "lo", "up"]);
    execFileSync("ip", ["-n", namespace, "address", "add", "192.0.2.20/32", "dev", "lo"]);
    const file = `/run/netns/${namespace}`;
    guest = await FakeGuest.make({ address: "192.0.2.20", namespace: file });
    project = new PulumiProject({ GROUNDWORK_NETWORK_NAMESPACE: file });
    const { name, address, user, hostPublicKey, hypervisorUri } = guest.machine;
    const args = {
      ...{ machine: name, address, user, hostPublicKey, hypervisorUri },
      uuid: "8a1b61e7-3f0b-4c8e-9d55-0c6a4d6f3b11",
      serialLogPath: guest.file("serial.log"),
      timeoutSeconds: 120,
      triggers: [{ volume: 1 }],
    };
    project.program(
      { MachineReady: "providers/machine-ready/resource.ts" },
      `import * as fs from "node:fs";
       const privateKey = fs.readFileSync(${JSON.stringify(guest.file("user_key"))}, "utf8");
       new MachineReady("guest", { ...${JSON.stringify(args)}, privateKey });`,
    );
    await project.succeed("stack", "init", "test");
  });
  after(async () => {
    if (project !== undefined) await project.pulumi("destroy", "--yes", "--skip-preview");
    project?.remove();
    guest?.remove();
    removeNamespace();
  });

  it("ends by itself when Pulumi is killed", async () => {
    assert.ok(project);
    const { folder } = project;
    const up = project.pulumi("up", "--yes", "--skip-preview");
    let output = "";
    up.all.on("data", (chunk: Buffer) => (output += chunk.toString()));
    await until(() => /guest: \d+ s: /.test(output), "progress", 90);
    const find = (what: string) =>
      processesIn(folder).filter(({ command }) => command.includes(what));
    assert.equal(find("cmd/dynamic-provider/index.js").length, 1);
    up.kill("SIGKILL");
    await until(() => find("cmd/dynamic-provider/index.js").length === 0, "its end", 10);
    await until(() => find("ssh -F").length === 0, "the end of ssh", 10);
    assert.equal((await up).signal, "SIGKILL");
  });

  it("converges when it is started again, and writes the user's SSH files", async () => {
    assert.ok(project && guest);
    await guest.boot();
    await project.succeed("cancel", "--yes");
    await project.succeed("up", "--yes", "--skip-preview");
    const config = path.join(project.folder, "home/ssh/test/config");
    assert.equal((await execa("ssh", ["-F", config, "guest", "echo hello"])).stdout, "hello");
    for (const file of ["config", "known_hosts", "id_ed25519"])
      assert.equal(fs.statSync(path.join(path.dirname(config), file)).mode & 0o777, 0o600);
    await project.succeed("up", "--yes", "--skip-preview", "--expect-no-changes");
  });

  it("keeps the private key out of the state", async () => {
    assert.ok(project && guest);
    const text = (await project.succeed("stack", "export")) + project.stateFiles();
    assert.ok(text.includes(guest.machine.hostPublicKey), "the search would find the public key");
    for (const line of guest.privateKey.trim().split("\n").slice(3, -1))
      assert.ok(!text.includes(line));
  });

  it("leaves none of the SSH files when the machine goes", async () => {
    assert.ok(project);
    await project.succeed("destroy", "--yes", "--skip-preview");
    assert.ok(!fs.existsSync(path.join(project.folder, "home/ssh/test")));
  });
});

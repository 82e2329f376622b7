import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { SshMachine } from "../../../../providers/machine-ready/core/ssh-config.ts";
import {
  ensureSshEntry,
  ensureSshFiles,
  removeSshEntry,
  removeSshFiles,
} from "../../../../providers/machine-ready/effects/ssh-files.ts";

const machine = (name: string): SshMachine => ({
  name,
  address: "192.168.150.10",
  user: "deploy",
  hostPublicKey: `ssh-ed25519 AAAA${name}`,
  hypervisorUri: "qemu:///system",
});

describe("the user's SSH files", () => {
  let home: string;
  const folder = (): string => path.join(home, "ssh/lab");
  const read = (file: string): string => fs.readFileSync(path.join(folder(), file), "utf8");
  const args = () => ({ home, stack: "lab", privateKey: "KEY" });
  const hosts = (): string[] =>
    [...read("config").matchAll(/^Host (?!\*)(.*)$/gm)].map((match) => match[1] ?? "");

  beforeEach(() => {
    home = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-home-"));
  });
  afterEach(() => fs.rmSync(home, { recursive: true, force: true }));

  it("keep every machine of many that become ready at once", async () => {
    const names = Array.from({ length: 20 }, (_, index) => `vm${String(index)}`);
    await Promise.all(names.map((name) => ensureSshEntry({ ...args(), machine: machine(name) })));
    assert.deepEqual(hosts().sort(), [...names].sort());
    assert.equal(read("known_hosts").trim().split("\n").length, names.length);
    assert.deepEqual(fs.readdirSync(folder()).sort(), [
      "config",
      "id_ed25519",
      "known_hosts",
      "machines",
    ]);
  });

  it("are for the user alone", async () => {
    await ensureSshFiles({ ...args(), machines: [machine("vm1")] });
    for (const file of ["config", "known_hosts", "id_ed25519"])
      assert.equal(fs.statSync(path.join(folder(), file)).mode & 0o777, 0o600);
    assert.equal(fs.statSync(folder()).mode & 0o777, 0o700);
    assert.equal(read("id_ed25519"), "KEY\n");
  });

  it("are understood by ssh", async () => {
    const { configFile } = await ensureSshFiles({ ...args(), machines: [machine("vm1")] });
    assert.ok(path.isAbsolute(configFile));
    const settings = execFileSync("ssh", ["-F", configFile, "-T", "-G", "vm1"], {
      encoding: "utf8",
    });
    assert.match(settings, /^hostname 192\.168\.150\.10$/m);
    assert.match(settings, /^stricthostkeychecking (yes|true)$/m);
    assert.ok(settings.includes(`identityfile ${path.join(folder(), "id_ed25519")}`));
  });

  it("hold exactly the machines that are given to ensureSshFiles", async () => {
    await ensureSshFiles({ ...args(), machines: [machine("vm1"), machine("vm2")] });
    await ensureSshFiles({ ...args(), machines: [machine("vm2"), machine("vm3")] });
    assert.deepEqual(hosts(), ["vm2", "vm3"]);
    await ensureSshFiles({ ...args(), machines: [] });
    assert.ok(!fs.existsSync(folder()));
  });

  it("lose one machine when it goes, and go with the last one", async () => {
    await ensureSshFiles({ ...args(), machines: [machine("vm1"), machine("vm2")] });
    await removeSshEntry({ home, stack: "lab", name: "vm1" });
    assert.deepEqual(hosts(), ["vm2"]);
    assert.equal(read("known_hosts"), "vm2 ssh-ed25519 AAAAvm2\n");
    await removeSshEntry({ home, stack: "lab", name: "vm2" });
    assert.ok(!fs.existsSync(folder()));
  });

  it("may be removed when they were never there", async () => {
    await removeSshEntry({ home, stack: "lab", name: "vm1" });
    await removeSshFiles({ home, stack: "lab" });
    assert.ok(!fs.existsSync(folder()));
  });

  it("follow a machine to another address", async () => {
    await ensureSshEntry({ ...args(), machine: machine("vm1") });
    await ensureSshEntry({ ...args(), machine: { ...machine("vm1"), address: "10.0.0.9" } });
    assert.deepEqual(hosts(), ["vm1"]);
    assert.match(read("config"), /HostName 10\.0\.0\.9/);
  });
});

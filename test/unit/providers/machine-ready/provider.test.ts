import * as assert from "node:assert/strict";
import { unknownValue } from "../../../../providers/handler.ts";
import * as machineReady from "../../../../providers/machine-ready/provider.ts";

const args = {
  stack: "lab",
  machine: "vm1",
  hypervisorUri: "qemu:///system",
  uuid: "8a1b61e7-3f0b-4c8e-9d55-0c6a4d6f3b11",
  address: "192.168.150.10",
  user: "deploy",
  privateKey: "KEY",
  hostPublicKey: "ssh-ed25519 AAAAvm1 vm1",
  serialLogPath: "/var/log/vm1.log",
  timeoutSeconds: 900,
  triggers: [{ volume: "a" }],
};
const reasons = async (changed: object): Promise<string[]> => {
  const { failures } = await machineReady.check({}, { ...args, ...changed });
  return failures.map(({ reason }) => reason.split(":")[0] ?? "");
};

describe("MachineReady", () => {
  it("accepts its arguments, known or not", async () => {
    assert.deepEqual(await reasons({}), []);
    assert.deepEqual(await reasons({ privateKey: unknownValue, triggers: [unknownValue] }), []);
  });

  for (const [name, value] of [
    ["machine", "vm1\n  ProxyCommand id"],
    ["machine", "../vm1"],
    ["stack", ".."],
    ["uuid", "vm1"],
    ["address", "-oProxyCommand=id"],
    ["address", "10.0.0.1\n"],
    ["user", "a b"],
    ["hostPublicKey", "ssh-rsa AAAA"],
    ["hostPublicKey", "ssh-ed25519 AAAA\nother ssh-ed25519 BBBB"],
    ["serialLogPath", "relative.log"],
    ["timeoutSeconds", 0],
  ] as const)
    it(`refuses ${JSON.stringify(value)} as ${name}`, async () => {
      assert.deepEqual(await reasons({ [name]: value }), [name]);
    });

  it("changes nothing while nothing changed", async () => {
    const { changes } = await machineReady.diff("id", { ...args, ready: true }, args);
    assert.equal(changes, false);
  });

  it("starts a machine that is off, once", async () => {
    const start = { ...args, start: true };
    const state = { ...args, ready: true };
    assert.equal((await machineReady.diff("id", state, start)).changes, true);
    const { inputs } = await machineReady.check(start, args);
    assert.deepEqual(inputs, args, "no libvirt says so now");
  });

  it("waits again when a trigger changed, also for a value that is not known yet", async () => {
    for (const triggers of [[{ volume: "b" }], [unknownValue], []]) {
      const result = await machineReady.diff("id", { ...args, ready: true }, { ...args, triggers });
      assert.deepEqual([result.changes, result.replaces], [true, []]);
    }
  });

  it("is another resource for another machine", async () => {
    const result = await machineReady.diff("id", args, { ...args, machine: "vm2" });
    assert.deepEqual(result.replaces, ["machine"]);
  });
});

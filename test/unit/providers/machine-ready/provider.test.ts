import * as assert from "node:assert/strict";
import { unknownValue } from "../../../../providers/handler.ts";
import * as machineReady from "../../../../providers/machine-ready/provider.ts";

const args = {
  stack: "lab",
  machine: "vm1",
  hypervisorUri: "qemu:///system",
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

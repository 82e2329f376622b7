import assert from "node:assert/strict";
import type { automation } from "@pulumi/pulumi";
import { parseOutputs } from "../../../scripts/lib/outputs.ts";

const machine = {
  name: "vm1",
  addresses: ["192.168.150.10"],
  mac: "52:54:00:00:00:01",
  sshCommand: "ssh vm1",
  volumePath: "/dev/groundwork/vm1-root",
  imageDigest: "ab",
  serialLogPath: "/log",
};
const login = {
  privateKey: "KEY",
  machines: [
    {
      name: "vm1",
      user: "deploy",
      address: "192.168.150.10",
      hostPublicKey: "k",
      hypervisorUri: "u",
    },
  ],
};

function outputs(values: Record<string, unknown>): automation.OutputMap {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, { value, secret: name === "ssh" }]),
  );
}

describe("parseOutputs", () => {
  it("keeps the secret apart from what may be shown", () => {
    const { lab, ssh } = parseOutputs(outputs({ machines: { vm1: machine }, ssh: login }));
    assert.deepEqual(lab, { machines: { vm1: machine }, hypervisors: {} });
    assert.deepEqual(ssh, login);
    assert.ok(!JSON.stringify(lab).includes("KEY"));
  });

  it("reads a stack that was made and never deployed", () => {
    assert.deepEqual(parseOutputs({}), { lab: { machines: {}, hypervisors: {} } });
  });

  it("refuses outputs of another shape, with the path", () => {
    assert.throws(() => parseOutputs(outputs({ machines: { vm1: { name: "vm1" } } })), {
      code: "unexpected-outputs",
      message: /machines\.vm1\.addresses/,
    });
  });
});

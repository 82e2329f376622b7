import * as assert from "node:assert/strict";
import { factNames } from "../../../../providers/host-facts/core/facts.ts";
import * as hostFacts from "../../../../providers/host-facts/provider.ts";
import { unknownValue } from "../../../../providers/handler.ts";

/** No libvirt and no machine is behind it: whoever looks at it fails. */
const hypervisorUri = "qemu+unix:///system?socket=/nowhere/sock";
const args = { hypervisorUri, requestedAccelerator: "auto" };
const state = {
  ...args,
  accelerator: "kvm",
  acceleratorReason: "",
  cpuMode: "host-passthrough",
  emulator: "/usr/bin/qemu-system-x86_64",
  firmware: { uefi: { code: "/c", vars: "/v" } },
  libvirtVersion: "9.0.0",
  qemuVersion: "7.2.22",
  cpus: 2,
  memoryMiB: 100,
  memoryAvailableMiB: 50,
};

describe("HostFacts", () => {
  it("keeps facts once found without looking at the host again", async () => {
    assert.deepEqual(await hostFacts.check(state, args), { inputs: state, failures: [] });
    assert.deepEqual(await hostFacts.diff("id", state, state), { changes: false });
  });

  it("looks again when an argument changed or the facts are not whole", async () => {
    const { cpus, ...incomplete } = state;
    assert.ok(cpus);
    const looks = { code: /libvirt-not-answering|qemu-missing/ };
    await assert.rejects(hostFacts.check({ ...state, requestedAccelerator: "kvm" }, args), looks);
    await assert.rejects(hostFacts.check(incomplete, args), looks);
  });

  it("leaves every fact open while the URI is not known", async () => {
    const { inputs, failures } = await hostFacts.check(
      {},
      { ...args, hypervisorUri: unknownValue },
    );
    assert.deepEqual(failures, []);
    for (const name of factNames) assert.equal(inputs[name], unknownValue);
  });

  it("leaves them open where nobody answers, and fails when they are needed", async () => {
    const nowhere = { ...args, hypervisorUri: "qemu+ssh://root@host.invalid/system" };
    const { inputs, failures } = await hostFacts.check({}, nowhere);
    assert.deepEqual(failures, []);
    for (const name of factNames) assert.equal(inputs[name], unknownValue);
    await assert.rejects(hostFacts.create(nowhere), { code: "host-unreachable" });
  });

  it("refuses an accelerator that it does not know", async () => {
    const { failures } = await hostFacts.check({}, { ...args, requestedAccelerator: "hvf" });
    assert.match(failures[0]?.reason ?? "", /^requestedAccelerator: .*"kvm"/);
  });
});

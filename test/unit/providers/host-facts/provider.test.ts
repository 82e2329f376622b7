import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as hostFacts from "../../../../providers/host-facts/provider.ts";
import { unknownValue } from "../../../../providers/handler.ts";
import { makeScratch } from "../../../support/scratch.ts";

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
  reachable: true,
};

describe("HostFacts", () => {
  it("keeps facts once found without looking at the host again", async () => {
    assert.deepEqual(await hostFacts.check(state, args), { inputs: state, failures: [] });
    assert.deepEqual(await hostFacts.diff("id", state, state), { changes: false });
  });

  it("keeps them where nobody answers any more, but not that it is reachable", async () => {
    const gone = { ...state, hypervisorUri: "qemu+ssh://root@host.invalid/system" };
    const { hypervisorUri, requestedAccelerator } = gone;
    const { inputs } = await hostFacts.check(gone, { hypervisorUri, requestedAccelerator });
    const { reachable, ...rest } = gone;
    assert.ok(reachable);
    assert.deepEqual(inputs, rest);
    assert.equal((await hostFacts.diff("id", gone, inputs)).changes, true);
    await assert.rejects(hostFacts.update("id", gone, inputs), { code: "host-unreachable" });
  });

  it("keeps what was found before hosts were asked whether they answer", async () => {
    const { reachable, ...former } = state;
    assert.ok(reachable);
    assert.deepEqual((await hostFacts.check(former, args)).inputs, state);
    assert.deepEqual(await hostFacts.update("id", former, former), { outs: state });
  });

  it("looks again when an argument changed or the facts are not whole", async () => {
    const { cpus, ...incomplete } = state;
    assert.ok(cpus);
    const looks = { code: /libvirt-not-answering|qemu-missing/ };
    await assert.rejects(hostFacts.check({ ...state, requestedAccelerator: "kvm" }, args), looks);
    await assert.rejects(hostFacts.check(incomplete, args), looks);
  });

  it("counts the memory of our machines as available when it looks again", async () => {
    const scratch = makeScratch("programs");
    const { PATH } = process.env;
    try {
      for (const program of ["virsh", "qemu-system-x86_64"])
        fs.writeFileSync(`${scratch.folder}/${program}`, "#!/bin/sh\n", { mode: 0o755 });
      process.env["PATH"] = `${scratch.folder}:${PATH ?? ""}`;
      const old = { ...state, memoryAvailableMiB: 2 ** 40 };
      const { inputs } = await hostFacts.check(old, { ...args, requestedAccelerator: "qemu" });
      assert.equal(inputs["accelerator"], "qemu");
      assert.equal(inputs["memoryAvailableMiB"], inputs["memoryMiB"]);
    } finally {
      process.env["PATH"] = PATH;
      scratch.remove();
    }
  });

  it("refuses another host where the stack has something", async () => {
    const moved = { ...args, hypervisorUri: "qemu+ssh://root@host.invalid/system" };
    await assert.rejects(hostFacts.check(state, moved), { code: "hypervisor-elsewhere" });
  });

  it("leaves every fact open while the URI is not known", async () => {
    const { inputs, failures } = await hostFacts.check(
      {},
      { ...args, hypervisorUri: unknownValue },
    );
    assert.deepEqual(failures, []);
    assert.deepEqual(inputs, { ...args, hypervisorUri: unknownValue });
  });

  it("leaves them open where nobody answers, and fails when they are needed", async () => {
    const nowhere = { ...args, hypervisorUri: "qemu+ssh://root@host.invalid/system" };
    const { inputs, failures } = await hostFacts.check({}, nowhere);
    assert.deepEqual(failures, []);
    assert.deepEqual(inputs, nowhere);
    await assert.rejects(hostFacts.create(nowhere), { code: "host-unreachable" });
  });

  it("refuses an accelerator that it does not know", async () => {
    const { failures } = await hostFacts.check({}, { ...args, requestedAccelerator: "hvf" });
    assert.match(failures[0]?.reason ?? "", /^requestedAccelerator: .*"kvm"/);
  });
});

import * as assert from "node:assert/strict";
import { parseConfig } from "../../../config.ts";
import { locateMachines, requireMachine } from "../../../scripts/lib/machines-plan.ts";
import { labMachine, labSections } from "../../support/lab.ts";

describe("locateMachines", () => {
  const config = parseConfig({
    ...labSections(),
    "groundwork:machines": [
      {
        ...labMachine(),
        rootVolume: { image: "debian", sizeGiB: 4, wipe: "none", shutdownTimeoutSeconds: 7 },
        volumes: [{ name: "data", sizeGiB: 1, volumeGroup: "fast" }],
      },
    ],
  });
  const machines = locateMachines(config, "groundwork/lab", "qemu:///system");

  it("names each machine's volumes as its components do, the root volume first", () => {
    assert.deepEqual(machines, [
      {
        ...{ machine: "vm1", owner: "groundwork/lab", uri: "qemu:///system" },
        shutdownTimeoutSeconds: 7,
        volumes: [
          { volumeGroup: "vg", volumeName: "vm1-root", wipe: "none" },
          { volumeGroup: "fast", volumeName: "vm1-data", wipe: "zero" },
        ],
      },
    ]);
  });

  it("says which machines there are when another is asked for", () => {
    assert.equal(requireMachine(machines, "vm1").machine, "vm1");
    assert.throws(() => requireMachine(machines, "vm2"), /no machine "vm2".*one of: vm1/);
    assert.throws(() => requireMachine([], "vm2"), { code: "unknown-machine" });
  });
});

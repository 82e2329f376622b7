import * as fc from "fast-check";
import * as assert from "node:assert/strict";
import { refuseOversizedMachines } from "../../../../providers/host-facts/core/capacity.ts";

const host = { cpus: 4, memoryMiB: 8000, memoryAvailableMiB: 6000 };
const refuse = (...machines: { name: string; vcpus: number; memoryMiB: number }[]): string => {
  try {
    refuseOversizedMachines("local", host, machines);
    return "";
  } catch (error) {
    assert.equal((error as { code?: string }).code, "machine-larger-than-host");
    return (error as Error).message;
  }
};

describe("refuseOversizedMachines", () => {
  it("accepts machines that fit, to the last MiB", () => {
    assert.equal(refuse(), "");
    assert.equal(
      refuse({ name: "a", vcpus: 4, memoryMiB: 3000 }, { name: "b", vcpus: 4, memoryMiB: 3000 }),
      "",
    );
  });

  it("tells all that is too large at once", () => {
    const message = refuse(
      { name: "a", vcpus: 5, memoryMiB: 100 },
      { name: "b", vcpus: 1, memoryMiB: 9000 },
    );
    assert.match(message, /hypervisor "local"/);
    assert.match(message, /"a" asks for 5 vCPUs and the host has 4 CPUs/);
    assert.match(message, /"b" asks for 9000 MiB of memory and the host has 8000 MiB/);
  });

  it("refuses machines that fit one by one and not together", () => {
    const message = refuse(
      { name: "a", vcpus: 1, memoryMiB: 3001 },
      { name: "b", vcpus: 1, memoryMiB: 3000 },
    );
    assert.match(message, /"a", "b" ask for 6001 MiB .* 6000 MiB of 8000 MiB were free/);
  });

  it("never refuses fewer machines than it refuses of them", () => {
    const machine = fc.record({
      name: fc.constant("m"),
      vcpus: fc.integer({ min: 1, max: 6 }),
      memoryMiB: fc.integer({ min: 1, max: 9000 }),
    });
    fc.assert(
      fc.property(fc.array(machine, { maxLength: 5 }), machine, (machines, more) => {
        if (refuse(...machines) !== "") assert.notEqual(refuse(...machines, more), "");
      }),
    );
  });
});

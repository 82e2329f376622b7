import assert from "node:assert/strict";
import { parseConfig } from "../../../config.ts";
import { type DownFacts, planDown } from "../../../scripts/lib/down-plan.ts";

const local = { name: "local", volumeGroup: "groundwork" };
const remote = { name: "hv1", uri: "qemu+ssh://root@hv1/system", volumeGroup: "vg0" };
const ours = { hypervisor: "embedded", volumeGroup: "embedded" } as const;

function facts(
  hypervisors: object[],
  rest: Partial<Omit<DownFacts, "config">>,
  sections: object = { "groundwork:embedded": {} },
): DownFacts {
  const config = parseConfig({
    ...sections,
    "groundwork:hypervisors": hypervisors,
  });
  return { config, hasState: true, embeddedIsShared: false, hypervisorAnswers: true, ...rest };
}

describe("planDown", () => {
  it("destroys resource by resource while the hypervisor answers", () => {
    assert.deepEqual(planDown(facts([local], { embedded: ours })), {
      resources: "destroy",
      startEmbedded: false,
      disposable: true,
      stopEmbedded: true,
    });
  });

  it("forgets the state when everything lay on embedded parts that are dead", () => {
    const plan = planDown(facts([local], { embedded: ours, hypervisorAnswers: false }));
    assert.equal(plan.resources, "forget");
    assert.equal(plan.startEmbedded, false);
  });

  it("starts the dead hypervisor when a volume group that is not ours holds volumes", () => {
    const embedded = { hypervisor: "embedded", volumeGroup: "existing" } as const;
    const plan = planDown(facts([local], { embedded, hypervisorAnswers: false }));
    assert.deepEqual([plan.resources, plan.startEmbedded], ["destroy", true]);
    assert.equal(plan.disposable, false);
  });

  it("starts the dead hypervisor when another one has machines, too", () => {
    const plan = planDown(facts([local, remote], { embedded: ours, hypervisorAnswers: false }));
    assert.deepEqual([plan.resources, plan.startEmbedded], ["destroy", true]);
  });

  it("keeps embedded parts that another stack uses", () => {
    const plan = planDown(facts([local], { embedded: ours, embeddedIsShared: true }));
    assert.equal(plan.stopEmbedded, false);
    assert.equal(plan.disposable, false);
  });

  it("never takes a stack for disposable whose embedded parts nobody wrote down", () => {
    const plan = planDown(facts([local], { hypervisorAnswers: false }));
    assert.equal(plan.disposable, false);
    assert.equal(plan.resources, "destroy");
  });

  it("stops the embedded parts even when the stack was never made", () => {
    const plan = planDown(facts([local], { hasState: false, embedded: ours }));
    assert.deepEqual([plan.resources, plan.stopEmbedded], ["nothing", true]);
  });

  it("starts and stops nothing for a stack without embedded parts", () => {
    const plan = planDown(facts([remote], { hypervisorAnswers: false }, {}));
    assert.equal(plan.resources, "destroy");
    assert.deepEqual([plan.startEmbedded, plan.stopEmbedded], [false, false]);
  });
});

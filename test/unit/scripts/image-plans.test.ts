import assert from "node:assert/strict";
import type { automation } from "@pulumi/pulumi";
import {
  type ImagePlan,
  parseImagePlan,
  renderImagePlans,
} from "../../../scripts/lib/image-plans.ts";

function event(op: string, inputs: Record<string, unknown>): automation.EngineEvent {
  return {
    sequence: 1,
    timestamp: 1,
    resourcePreEvent: {
      metadata: {
        op: op as automation.OpType,
        urn: "urn:pulumi:local::groundwork::groundwork:ImageVolume::vm1-root",
        type: "groundwork:ImageVolume",
        provider: "",
        new: {
          type: "",
          urn: "",
          id: "",
          parent: "",
          provider: "",
          custom: true,
          delete: false,
          protect: false,
          inputs,
          outputs: {},
        },
      },
    },
  };
}

const plan = {
  cache: "miss",
  digest: "ab12",
  bytesToFetch: 1024 ** 2,
  bytesToWrite: 2 * 1024 ** 3,
  estimateSeconds: 2.6,
};

describe("parseImagePlan", () => {
  it("finds the plan in what preview says about a volume", () => {
    const found = parseImagePlan(
      event("create", { volumeGroup: "lab", volumeName: "vm1-root", sizeGiB: 4, plan }),
    );
    assert.deepEqual(found, { volume: "lab/vm1-root", operation: "create", ...plan });
  });

  it("passes over resources without a plan, and other events", () => {
    assert.equal(parseImagePlan(event("create", { name: "vm1" })), undefined);
    assert.equal(parseImagePlan({ sequence: 1, timestamp: 1 }), undefined);
  });
});

describe("renderImagePlans", () => {
  const base: ImagePlan = { volume: "lab/vm1-root", operation: "create", ...plan };

  it("shows what a volume costs", () => {
    assert.deepEqual(renderImagePlans([base]), [
      "VOLUME        CHANGE  CACHE  TO FETCH  TO WRITE  ABOUT",
      "lab/vm1-root  create  miss   1 MiB     2 GiB     3 s",
    ]);
  });

  it("shows no cost for a volume that stays as it is", () => {
    assert.match(renderImagePlans([{ ...base, operation: "same" }])[1] ?? "", /same +- +- +- +-$/);
  });

  it("says unknown where a figure is missing, and never 0", () => {
    const unknown: ImagePlan = { volume: "lab/vm1-root", operation: "create", cache: "unknown" };
    assert.match(renderImagePlans([unknown])[1] ?? "", /unknown +unknown +unknown +-$/);
  });

  it("is silent when there are no volumes", () => {
    assert.deepEqual(renderImagePlans([]), []);
  });
});

import assert from "node:assert/strict";
import type { automation } from "@pulumi/pulumi";
import {
  type CachePlan,
  parseImagePlans,
  renderImagePlans,
  type VolumePlan,
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

describe("parseImagePlans", () => {
  it("finds the plan in what preview says about a volume", () => {
    const found = parseImagePlans(
      event("create", { volumeGroup: "lab", volumeName: "vm1-root", sizeGiB: 4, plan }),
    );
    assert.deepEqual(found, [{ volume: "lab/vm1-root", operation: "create", ...plan }]);
  });

  it("finds every image of what preview says about a cache", () => {
    const rows = ["debian", "ubuntu"].map((name) => ({
      ...{ hypervisorUri: "qemu:///system", image: `http://store/images/${name}.qcow2` },
      ...{ cache: "miss", bytesToFetch: 7 },
    }));
    const hypervisorUris = ["qemu:///system"];
    assert.deepEqual(
      parseImagePlans(event("update", { hypervisorUris, images: [{}, {}], plan: rows })),
      rows.map((row) => ({ operation: "update", ...row })),
    );
  });

  it("passes over resources without a plan, and other events", () => {
    assert.deepEqual(parseImagePlans(event("create", { name: "vm1" })), []);
    assert.deepEqual(parseImagePlans({ sequence: 1, timestamp: 1 }), []);
  });
});

describe("renderImagePlans", () => {
  const base: VolumePlan = { volume: "lab/vm1-root", operation: "create", ...plan };

  it("shows what a volume costs", () => {
    assert.deepEqual(renderImagePlans([base]), [
      "VOLUME OR CACHE  CHANGE  CACHE  TO FETCH  TO WRITE  ABOUT",
      "lab/vm1-root     create  miss   1 MiB     2 GiB     3 s",
    ]);
  });

  it("shows no cost for a volume that stays as it is", () => {
    assert.match(renderImagePlans([{ ...base, operation: "same" }])[1] ?? "", /same +- +- +- +-$/);
  });

  it("says unknown where a figure is missing, and never 0", () => {
    const unknown: VolumePlan = { volume: "lab/vm1-root", operation: "create", cache: "unknown" };
    assert.match(renderImagePlans([unknown])[1] ?? "", /unknown +unknown +unknown +-$/);
  });

  it("shows what a cache will fetch, and that it writes no volume", () => {
    const row: CachePlan = {
      ...{ operation: "create", cache: "miss", bytesToFetch: 1024 ** 2 },
      ...{ hypervisorUri: "qemu:///system", image: "http://store/images/debian.qcow2" },
    };
    assert.match(
      renderImagePlans([row])[1] ?? "",
      /^qemu:\/\/\/system http:\/\/store\/images\/debian.qcow2 +create +miss +1 MiB +- +-$/,
    );
  });

  it("is silent when there are neither", () => {
    assert.deepEqual(renderImagePlans([]), []);
  });
});

import * as assert from "node:assert/strict";
import {
  type DesiredVolume,
  type Observed,
  plan,
} from "../../../../providers/image-volume/core/plan.ts";
import {
  defaults,
  digest,
  gibibyte,
  observed,
  thinPool,
  volume,
} from "../../../support/volume-situations.ts";

const desired: DesiredVolume = {
  ...{ volumeGroup: "lab", volumeName: "vm1-root", sizeBytes: 4 * gibibyte },
  ...{ ...defaults, owner: "p/s", adopt: false },
  image: { digest, bytes: 200, virtualBytes: 2 * gibibyte },
};
const { image, ...blank } = desired;
const golden = volume({ role: "golden", digest, state: "populated" }, { sizeBytes: 2 * gibibyte });

const kinds = (want: DesiredVolume, seen: Partial<Observed>): string[] | string => {
  const planned = plan(want, observed(seen));
  return planned.kind === "steps" ? planned.steps.map(({ kind }) => kind) : planned.refusal.code;
};

describe("a plan in a thin pool", () => {
  it("fetches and decodes an image once, and clones it from then on", () => {
    assert.ok(image);
    assert.deepEqual(kinds(desired, { pools: [thinPool()] }), [
      ...["fetchImage", "makeGolden", "cloneGolden"],
    ]);
    assert.deepEqual(kinds(desired, { pools: [thinPool()], cachedBytes: 200 }), [
      ...["makeGolden", "cloneGolden"],
    ]);
    assert.deepEqual(kinds(desired, { pools: [thinPool({ golden })] }), ["cloneGolden"]);
  });

  it("has nothing to zero in a blank volume", () => {
    assert.deepEqual(kinds(blank, { pools: [thinPool()] }), ["createVolume", "markPopulated"]);
  });

  it("takes no space of the volume group", () => {
    const group = { extentBytes: 4 * 2 ** 20, freeBytes: 0 };
    assert.deepEqual(kinds(desired, { group, pools: [thinPool({ golden })] }), ["cloneGolden"]);
    assert.equal(kinds(desired, { group }), "volume-group-full");
  });

  it("refuses an image larger than the volume, as its golden volume shows", () => {
    const large = { ...golden, sizeBytes: 5 * gibibyte };
    assert.equal(
      kinds(desired, { pools: [thinPool({ golden: large })] }),
      "image-larger-than-volume",
    );
  });

  it("refuses early where data or metadata are full", () => {
    const full = thinPool({ dataPercent: 100 });
    assert.equal(kinds(desired, { pools: [full] }), "thin-pool-full");
    assert.equal(kinds(blank, { pools: [full] }), "thin-pool-full");
    assert.equal(
      kinds(desired, { pools: [thinPool({ metadataPercent: 99 })] }),
      "thin-metadata-full",
    );
    const small = thinPool({ sizeBytes: 199 });
    assert.equal(kinds(desired, { pools: [small] }), "thin-pool-full");
  });

  it("leaves an existing volume as it is, unless it must be otherwise", () => {
    const thick = volume({ owner: "p/s", digest, state: "populated" });
    const thin = { ...thick, segmentType: "thin", pool: "pool" };
    const pools = [thinPool()];
    assert.deepEqual(kinds(desired, { volume: thick, pools }), []);
    assert.deepEqual(kinds(desired, { volume: thin, pools }), []);
    assert.deepEqual(kinds({ ...desired, thinPool: "pool" }, { volume: thin, pools }), []);
    for (const [provisioning, seen] of [
      ["thin", thick],
      ["thick", thin],
    ] as const)
      assert.equal(
        kinds({ ...desired, provisioning }, { volume: seen, pools }),
        "volume-provisioning-differs",
      );
    assert.equal(
      kinds({ ...desired, thinPool: "other" }, { volume: thin, pools }),
      "volume-provisioning-differs",
    );
  });
});

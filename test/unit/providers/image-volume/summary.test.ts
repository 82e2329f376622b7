import * as assert from "node:assert/strict";
import {
  type DesiredVolume,
  type Observed,
  plan,
} from "../../../../providers/image-volume/core/plan.ts";
import { buildSummary, provenanceOf } from "../../../../providers/image-volume/core/summary.ts";
import { defaults } from "../../../support/volume-situations.ts";

const digest = "a".repeat(64);
const desired: DesiredVolume = {
  ...{ volumeGroup: "lab", volumeName: "vm1", owner: "p/s", adopt: false },
  ...defaults,
  sizeBytes: 2 ** 30,
  image: { digest, bytes: 200 },
};
const observed: Observed = {
  group: { extentBytes: 2 ** 22, freeBytes: 2 ** 34 },
  cacheFreeBytes: 2 ** 34,
  rates: new Map(),
};

describe("buildSummary", () => {
  const summary = (want: DesiredVolume, seen: Observed): unknown =>
    buildSummary(plan(want, seen), want, seen, { digestSource: "sidecar" });

  it("tells what a miss costs", () => {
    assert.deepEqual(summary(desired, observed), {
      ...{ cache: "miss", digest, digestSource: "sidecar" },
      ...{ bytesToFetch: 200, bytesToWrite: 2 ** 30 },
      steps: ["fetchImage", "createVolume", "populateVolume", "zeroTail", "markPopulated"],
    });
  });

  it("tells what a hit saves", () => {
    assert.deepEqual(summary(desired, { ...observed, cachedBytes: 200 }), {
      ...{ cache: "hit", digest, digestSource: "sidecar" },
      ...{ bytesToFetch: 0, bytesToWrite: 2 ** 30 },
      steps: ["createVolume", "populateVolume", "zeroTail", "markPopulated"],
    });
  });

  it("tells what a thin pool takes: the disk in a cached image, and nothing for a golden one", () => {
    const pool = {
      ...{ name: "pool", sizeBytes: 2 ** 36, dataPercent: 1, metadataPercent: 1 },
      ...{ zeroes: true, health: "" },
    };
    const known = { ...desired, image: { digest, virtualBytes: 2 ** 28 } };
    const rates = new Map([["makeGolden", { milliseconds: 1000, amount: 100 }]]);
    assert.deepEqual(summary(known, { ...observed, pools: [pool], cachedBytes: 200, rates }), {
      ...{ cache: "hit", digest, digestSource: "sidecar", estimateSeconds: 2 },
      ...{ bytesToFetch: 0, bytesToWrite: 2 ** 28, steps: ["makeGolden", "cloneGolden"] },
    });
    const golden = {
      ...{ uuid: "u", sizeBytes: 2 ** 28, segmentType: "thin", tags: [], users: [] },
      marks: { role: "golden" as const, state: "populated" as const, digest },
    };
    assert.deepEqual(summary(known, { ...observed, pools: [{ ...pool, golden }] }), {
      ...{ cache: "hit", digest, digestSource: "sidecar" },
      ...{ bytesToFetch: 0, bytesToWrite: 0, steps: ["cloneGolden"] },
    });
  });

  it("tells what stands in the way, and promises nothing then", () => {
    const full = { ...observed, group: { extentBytes: 2 ** 22, freeBytes: 0 } };
    assert.deepEqual(summary(desired, full), {
      ...{ cache: "miss", digest, digestSource: "sidecar" },
      obstacle: 'volume group "lab" has 0 bytes free of the 1 GiB needed',
    });
  });

  it("counts only the new piece of a volume that grows", () => {
    const tags = ["groundwork.owner=p/s", "groundwork.state=populated"];
    const volume = {
      ...{ uuid: "u", sizeBytes: 2 ** 29, segmentType: "linear", tags, users: [] },
      marks: { owner: "p/s", state: "populated" as const, digest },
    };
    const { bytesToWrite, steps } = summary(desired, { ...observed, volume }) as {
      bytesToWrite: number;
      steps: string[];
    };
    assert.deepEqual({ bytesToWrite, steps }, { bytesToWrite: 2 ** 29, steps: ["growVolume"] });
  });
});

describe("provenanceOf", () => {
  it("tells a pinned digest from one that the store tells", () => {
    assert.deepEqual(provenanceOf(undefined), { digestSource: "none" });
    assert.deepEqual(provenanceOf({}), { digestSource: "sidecar" });
    assert.deepEqual(provenanceOf({ sha256: digest }), { digestSource: "pinned" });
  });

  it("does not know who will vouch for an image that may go without, until it was asked", () => {
    const image = { allowUnverified: true };
    assert.deepEqual(provenanceOf(image), { digestSource: "unknown" });
    assert.deepEqual(provenanceOf({ ...image, sha256: digest }), { digestSource: "pinned" });
    assert.deepEqual(provenanceOf(image, { digest, source: "sidecar" }), {
      digestSource: "sidecar",
    });
    const urlKey = "b".repeat(64);
    assert.deepEqual(provenanceOf(image, { digest, source: "url", urlKey }), {
      ...{ digestSource: "url", urlKey },
    });
  });
});

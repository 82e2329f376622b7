import * as assert from "node:assert/strict";
import { listGolden } from "../../../../providers/image-cache/core/golden.ts";
import type { ObservedVolume } from "../../../../providers/image-volume/core/parsers.ts";
import { seenVolume } from "../../../support/volume-situations.ts";

const digest = "ab".repeat(32);
const thin = { ...seenVolume, segmentType: "thin", pool: "pool" };
const golden = { ...thin, marks: { role: "golden", digest, state: "populated" } } as const;
const clone = { ...thin, marks: { owner: "p/s", digest, state: "populated" } } as const;

describe("listGolden", () => {
  it("names the clones in the same pool, and no other volume of the image", () => {
    const volumes = new Map<string, ObservedVolume>([
      ["lab/pool-golden-ab", golden],
      ["lab/vm1-root", clone],
      ["lab/vm2-root", { ...clone, pool: "other" }],
      ["lab/vm3-root", { ...clone, marks: { ...clone.marks, digest: "cd".repeat(32) } }],
      ["other/vm4-root", clone],
    ]);
    const [found, ...others] = listGolden(volumes);
    assert.deepEqual(others, []);
    assert.deepEqual(
      [found?.id, found?.pool, found?.complete, found?.volumes],
      ["lab/pool-golden-ab", "pool", true, ["lab/vm1-root"]],
    );
  });

  it("tells one that was interrupted", () => {
    const volumes = new Map<string, ObservedVolume>([
      ["lab/g", { ...golden, marks: { role: "golden", digest } }],
    ]);
    assert.equal(listGolden(volumes)[0]?.complete, false);
  });
});

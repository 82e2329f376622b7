import * as assert from "node:assert/strict";
import { describeEviction, describeListing, imagesOf } from "../../../scripts/lib/cache-report.ts";
import { parseBytes } from "../../../scripts/lib/units.ts";

const objectStore = { endpoint: "http://store:9000", bucket: "images", region: "us-east-1" };
const file = {
  ...{ name: "x", digest: "ab".repeat(32), state: "whole" as const, bytes: 2 ** 20 },
  ...{ usedAtSeconds: 1000, inUse: false },
};

const golden = {
  ...{ id: "lab/pool-golden-ab", volumeGroup: "lab", volumeName: "pool-golden-ab", pool: "pool" },
  ...{ digest: "ab".repeat(32), sizeBytes: 2 ** 31, complete: true, volumes: ["lab/vm1-root"] },
};

describe("imagesOf", () => {
  const config = {
    objectStore,
    images: [
      { name: "debian" },
      { name: "ubuntu", sha256: "AB".repeat(32), format: "raw.zst" as const },
    ],
  };

  it("names the objects of all images, with the digest that is pinned", () => {
    assert.deepEqual(imagesOf(config), [
      { name: "debian", ...objectStore, key: "debian.qcow2" },
      {
        name: "ubuntu",
        ...objectStore,
        key: "ubuntu.raw.zst",
        format: "raw",
        sha256: "ab".repeat(32),
      },
    ]);
  });

  it("refuses a name that is not there", () => {
    assert.deepEqual(
      imagesOf(config, ["ubuntu"]).map(({ name }) => name),
      ["ubuntu"],
    );
    assert.throws(() => imagesOf(config, ["debain"]), /no image "debain".*debian, ubuntu/);
  });
});

describe("describeListing", () => {
  it("says what is there, since when, and what it is for", () => {
    const listed = { ...file, volumes: ["lab/vm1-root"] };
    const [summary, , row, , goldenRow] = describeListing({
      ...{ folder: "/cache", files: [listed], freeBytes: 2 ** 30, nowSeconds: 1000 + 3 * 86_400 },
      golden: [golden],
    });
    assert.equal(summary, "/cache: 1 MiB used, 1 GiB free");
    assert.equal(row, "abababababab…  whole  1 MiB  3 days     -    lab/vm1-root");
    assert.equal(goldenRow, "abababababab…  lab/pool-golden-ab  2 GiB  whole  lab/vm1-root");
  });
});

describe("describeEviction", () => {
  it("says what went and why, and what could not go", () => {
    const lines = describeEviction({
      ...{ evict: [{ file, reason: "age" }], kept: [], excessBytes: 1024, excessEntries: 0 },
      dryRun: true,
    });
    assert.deepEqual(lines, [
      "abababababab… whole, 1 MiB: too old",
      "would remove 1 files, 1 MiB",
      "1 KiB too much, all of it in use",
    ]);
    const [gone, sum] = describeEviction({
      ...{ evict: [], kept: [], excessBytes: 0, excessEntries: 0, dryRun: false },
      golden: [{ ...golden, volumes: [] }],
    });
    assert.equal(gone, "abababababab… golden volume lab/pool-golden-ab: of no volume");
    assert.equal(sum, "removed 0 files, 0 B, and 1 golden volumes");
  });
});

describe("parseBytes", () => {
  it("reads binary units", () => {
    assert.deepEqual(["20GiB", "1.5 KiB", "0", "7B"].map(parseBytes), [20 * 2 ** 30, 1536, 0, 7]);
  });

  it("reads nothing else", () => {
    for (const text of ["", "20G", "-1", "1e3", "GiB", "20 GB"])
      assert.equal(parseBytes(text), undefined, text);
  });
});

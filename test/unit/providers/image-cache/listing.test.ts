import * as assert from "node:assert/strict";
import * as fc from "fast-check";
import { GroundworkError } from "../../../../providers/errors.ts";
import { parseListing } from "../../../../providers/image-cache/core/listing.ts";

const digest = "ab".repeat(32);
const other = "cd".repeat(32);
const lines = (...more: string[]): string =>
  ["now\t1700000000", "free\t5000", ...more, ""].join("\n");

describe("parseListing", () => {
  it("tells whole, cut, set aside and unfinished files apart", () => {
    const { files, freeBytes, nowSeconds } = parseListing(
      lines(
        `file\t${digest}.100.image\t100\t1600000004.25`,
        `file\t${digest}.101.image\t100\t1600000003`,
        `file\t${digest}.${other}.103.zstd\t103\t1600000002.7`,
        `file\t${digest}.${other}.104.zstd\t1\t1600000002.5`,
        `file\t${digest}.102.image.corrupt\t102\t1600000002`,
        `file\t${digest}.part\t7\t1600000001`,
        `file\t${digest}.part.8388608\t9\t1600000000`,
        `file\t${digest}.lock\t0\t1600000000`,
      ),
      "hv1",
    );
    assert.deepEqual([freeBytes, nowSeconds], [5000, 1_700_000_000]);
    assert.deepEqual(
      files.map(({ state, bytes, contentDigest }) => [
        ...[state, bytes],
        ...(contentDigest === undefined ? [] : [contentDigest === digest ? "image" : "own"]),
      ]),
      [
        ["partial", 9],
        ["partial", 7],
        ["corrupt", 102],
        ["encoded", 103, "own"],
        ["truncated", 1, "own"],
        ["truncated", 100, "image"],
        ["whole", 100, "image"],
      ],
    );
  });

  it("takes an entry for used while it is read, or while its image is fetched", () => {
    const entry = `${digest}.100.image`;
    const row = `file\t${entry}\t100\t1600000000`;
    const isUsed = (...more: string[]): boolean | undefined =>
      parseListing(lines(row, ...more), "hv1").files[0]?.inUse;
    assert.equal(isUsed(), false);
    assert.equal(isUsed(`busy\t${entry}`), true);
    assert.equal(isUsed(`busy\t${digest}.lock`), true);
    assert.equal(isUsed(`busy\t${"0".repeat(64)}.lock`), false);
  });

  it("takes a decoded disk for used for a day, for nobody who is written from it holds a lock", () => {
    const isUsed = (name: string, seconds: number): boolean | undefined => {
      const row = `file\t${digest}.part${name}\t100\t${String(1700000000 - seconds)}`;
      return parseListing(lines(row), "hv1").files[0]?.inUse;
    };
    for (const name of [".decoded.1a2b.new", ".decoded.1a2b", ".unpacked.123"])
      assert.deepEqual([isUsed(name, 3600), isUsed(name, 100_000)], [true, false], name);
    assert.equal(isUsed(".8388608", 3600), false);
  });

  it("leaves alone whatever is not ours", () => {
    fc.assert(
      fc.property(fc.string(), (name) => {
        fc.pre(!/^[0-9a-f]{64}\./.test(name));
        assert.deepEqual(parseListing(lines(`file\t${name}\t1\t1`), "hv1").files, []);
      }),
    );
  });

  it("says what it did not understand", () => {
    assert.throws(
      () => parseListing("now\t1\nfree\t\n", "hv1"),
      (error) =>
        error instanceof GroundworkError &&
        error.code === "bad-cache-listing" &&
        error.message.includes("hv1"),
    );
  });
});

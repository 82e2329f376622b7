import * as assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  type CacheLimits,
  planEviction,
} from "../../../../providers/image-cache/core/eviction-plan.ts";
import type { CacheFile } from "../../../../providers/image-cache/core/listing.ts";

const now = 1_000_000;

const file = (name: string, more: Partial<CacheFile> = {}): CacheFile => ({
  ...{ name, digest: name.padEnd(64, "0"), state: "whole", bytes: 100, inUse: false },
  usedAtSeconds: now - 10,
  ...more,
});

const files: fc.Arbitrary<CacheFile[]> = fc
  .array(
    fc.record({
      state: fc.constantFrom("whole", "encoded", "truncated", "corrupt", "partial"),
      bytes: fc.nat({ max: 1000 }),
      usedAtSeconds: fc.integer({ min: now - 1000, max: now }),
      inUse: fc.boolean(),
      digest: fc.constantFrom("a", "b", "c"),
    }),
    { maxLength: 12 },
  )
  .map((all) => all.map((each, index) => ({ ...each, name: String(index) })));

const limits: fc.Arbitrary<CacheLimits> = fc
  .record(
    {
      maxBytes: fc.nat({ max: 4000 }),
      maxEntries: fc.nat({ max: 5 }),
      maxAgeSeconds: fc.nat({ max: 1000 }),
      digests: fc.subarray(["a", "b", "c"]),
    },
    { requiredKeys: [] },
  )
  .map((record) => ({ ...record }));

const plan = (all: CacheFile[], wanted: CacheLimits) => {
  const { evict, ...rest } = planEviction(all, wanted, now);
  const gone = new Set(evict.map((each) => each.file));
  return { ...rest, evict, gone, kept: all.filter((each) => !gone.has(each)) };
};

describe("planEviction", () => {
  it("never chooses what is in use", () => {
    fc.assert(
      fc.property(files, limits, (all, wanted) => {
        assert.ok([...plan(all, wanted).gone].every(({ inUse }) => !inUse));
      }),
    );
  });

  it("gives up a copy before any entry, and what is of no use before a copy", () => {
    const [entry, copy, rest] = [
      file("entry", { usedAtSeconds: now - 900 }),
      file("copy", { state: "encoded" }),
      file("rest", { state: "partial" }),
    ];
    const names = (maxBytes: number): string[] =>
      plan([entry, copy, rest], { maxBytes }).evict.map((each) => each.file.name);
    assert.deepEqual(names(200), ["rest"]);
    assert.deepEqual(names(100), ["rest", "copy"]);
    assert.deepEqual(names(0), ["rest", "copy", "entry"]);
  });

  it("keeps every limit, but for what is in use", () => {
    fc.assert(
      fc.property(files, limits, (all, wanted) => {
        const { kept, excessBytes, excessEntries } = plan(all, wanted);
        const idle = kept.filter(({ inUse }) => !inUse);
        const { maxBytes = Infinity, maxEntries = Infinity, maxAgeSeconds = Infinity } = wanted;
        const bytes = kept.reduce((sum, each) => sum + each.bytes, 0);
        const entries = kept.filter(({ state }) => state === "whole");
        assert.equal(excessBytes, Math.max(0, bytes - maxBytes));
        assert.equal(excessEntries, Math.max(0, entries.length - maxEntries));
        if (excessBytes > 0) assert.ok(idle.every((each) => each.bytes === 0));
        if (excessEntries > 0) assert.ok(entries.every(({ inUse }) => inUse));
        for (const { usedAtSeconds, digest } of idle) {
          assert.ok(now - usedAtSeconds <= maxAgeSeconds);
          assert.ok(wanted.digests?.includes(digest) !== true);
        }
      }),
    );
  });

  it("takes nothing that could have stayed: what goes last was needed", () => {
    fc.assert(
      fc.property(files, fc.nat({ max: 4000 }), (all, maxBytes) => {
        const { evict, kept } = plan(all, { maxBytes });
        const last = evict.at(-1)?.file;
        const bytes = kept.reduce((sum, each) => sum + each.bytes, 0);
        if (last !== undefined) assert.ok(bytes + last.bytes > maxBytes);
      }),
    );
  });

  it("has nothing to do on what it left", () => {
    fc.assert(
      fc.property(files, limits, (all, wanted) => {
        assert.deepEqual(plan(plan(all, wanted).kept, wanted).evict, []);
      }),
    );
  });

  it("takes the longest unused entry first", () => {
    const old = file("1", { usedAtSeconds: now - 500 });
    const { evict } = plan([file("0"), old, file("2")], { maxEntries: 2 });
    assert.deepEqual(evict, [{ file: old, reason: "count" }]);
  });

  it("takes what no run can use before any entry", () => {
    const corrupt = file("1", { state: "corrupt", usedAtSeconds: now });
    const { evict } = plan([file("0", { usedAtSeconds: now - 500 }), corrupt], { maxBytes: 100 });
    assert.deepEqual(evict, [{ file: corrupt, reason: "size" }]);
  });

  it("lets what goes by age or name make room, before it takes more for size", () => {
    const named = file("1", { usedAtSeconds: now });
    const { evict } = plan([file("0"), named], { maxBytes: 100, digests: [named.digest] });
    assert.deepEqual(evict, [{ file: named, reason: "named" }]);
  });
});

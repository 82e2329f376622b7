import * as assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  freeBytes,
  goldenName,
  isGolden,
  isRoomy,
  type ObservedPool,
  placeVolume,
  poolShortage,
  type Provisioning,
} from "../../../../providers/image-volume/core/thin.ts";

const digest = "ab".repeat(32);
const pool = (more: Partial<ObservedPool> = {}): ObservedPool => ({
  ...{ name: "pool", sizeBytes: 1000, dataPercent: 25, metadataPercent: 10 },
  ...{ zeroes: true, health: "", ...more },
});

describe("placeVolume", () => {
  const place = (
    wish: { provisioning?: Provisioning; thinPool?: string },
    ...pools: ObservedPool[]
  ): string => {
    const placement = placeVolume({ volumeGroup: "lab", ...wish }, pools);
    if (placement.kind === "thin") return placement.pool.name;
    return placement.kind === "thick" ? "thick" : placement.code;
  };
  const [one, two] = [pool({ name: "one" }), pool({ name: "two" })];

  it("is thin in a group's only pool, unless told otherwise", () => {
    assert.equal(place({}, one), "one");
    assert.equal(place({ provisioning: "thin" }, one), "one");
    assert.equal(place({ provisioning: "thick" }, one), "thick");
  });

  it("is not both thick and in a pool", () => {
    assert.equal(place({ provisioning: "thick", thinPool: "one" }, one), "thin-pool-unfit");
  });

  it("is thick in a group without a pool, unless it must be thin", () => {
    assert.equal(place({}), "thick");
    assert.equal(place({ provisioning: "thin" }), "thin-pool-missing");
    assert.equal(place({ thinPool: "one" }), "thin-pool-missing");
  });

  it("chooses among several pools only by their name", () => {
    assert.equal(place({ thinPool: "two" }, one, two), "two");
    assert.equal(place({ provisioning: "thin" }, one, two), "thin-pool-missing");
    assert.equal(place({}, one, two), "thick");
    assert.equal(place({ thinPool: "three" }, one, two), "thin-pool-missing");
  });

  it("takes no pool that is ill or shows what others left", () => {
    assert.equal(place({}, pool({ health: "out_of_data" })), "thin-pool-unfit");
    assert.equal(place({}, pool({ zeroes: false })), "thin-pool-unfit");
  });
});

describe("poolShortage", () => {
  it("refuses an image whose file alone does not find room", () => {
    assert.equal(poolShortage(pool(), 750), undefined);
    assert.equal(poolShortage(pool(), 751)?.code, "thin-pool-full");
  });

  it("refuses a full pool and full metadata, also for a clone", () => {
    assert.equal(poolShortage(pool({ dataPercent: 100 }), 0)?.code, "thin-pool-full");
    assert.equal(poolShortage(pool({ metadataPercent: 98.5 }), 0)?.code, "thin-metadata-full");
  });

  it("never promises more than the pool has", () => {
    const percent = fc.double({ min: 0, max: 100, noNaN: true });
    fc.assert(
      fc.property(fc.nat(), percent, fc.nat(), (sizeBytes, dataPercent, bytes) => {
        const seen = pool({ sizeBytes, dataPercent });
        const free = freeBytes(seen);
        assert.ok(free >= 0 && free <= sizeBytes);
        if (poolShortage(seen, bytes) === undefined) assert.ok(bytes <= free);
      }),
    );
  });
});

describe("isRoomy", () => {
  it("is true of a pool with space for the metadata of many clones", () => {
    const pool = { name: "pool", sizeBytes: 2 ** 30, zeroes: true, health: "" };
    const ask = (dataPercent: number, metadataPercent: number): boolean =>
      isRoomy({ ...pool, dataPercent, metadataPercent });
    assert.deepEqual([ask(80, 40), ask(95, 40), ask(80, 60)], [true, false, false]);
  });
});

describe("golden volumes", () => {
  it("have a name of the pool and the digest", () => {
    assert.equal(goldenName("pool", digest), `pool-golden-${"ab".repeat(12)}`);
  });

  it("count only when they are complete and hold that image", () => {
    const marks = { role: "golden", digest, state: "populated" } as const;
    assert.ok(isGolden(marks, digest));
    assert.ok(!isGolden(marks, "cd".repeat(32)));
    assert.ok(!isGolden({ digest, state: "populated" }, digest));
    assert.ok(!isGolden({ role: "golden", digest }, digest));
  });
});

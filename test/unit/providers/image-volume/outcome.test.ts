import * as assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  buildOutcome,
  bytesOfStep,
  parseStepOutcomes,
  type StepOutcome,
} from "../../../../providers/image-volume/core/outcome.ts";

const at = new Date("2026-11-21T12:00:00Z");
const populate: StepOutcome = { step: "populateVolume", seconds: 2, bytes: 1000 };
const zeroTail: StepOutcome = { step: "zeroTail", seconds: 0, bytes: 24 };

describe("buildOutcome", () => {
  it("tells a fetch from a hit, and network from volume", () => {
    const fetch: StepOutcome = { step: "fetchImage", seconds: 1.5, bytes: 300 };
    const cold = buildOutcome(at, true, [fetch, populate, zeroTail]);
    assert.deepEqual(cold, {
      at: "2026-11-21T12:00:00.000Z",
      cache: "miss",
      steps: [fetch, populate, zeroTail],
      bytesFetched: 300,
      bytesWritten: 1024,
    });
    const warm = buildOutcome(at, true, [populate, zeroTail]);
    assert.deepEqual([warm?.cache, warm?.bytesFetched], ["hit", 0]);
  });

  it("knows no cache where there is no image", () => {
    const zeroed = buildOutcome(at, false, [{ step: "zeroVolume", seconds: 1, bytes: 4096 }]);
    assert.deepEqual([zeroed?.cache, zeroed?.bytesWritten], ["none", 4096]);
  });

  it("is none when the content was not written", () => {
    assert.equal(buildOutcome(at, true, []), undefined);
    const grown: StepOutcome = { step: "growVolume", seconds: 1, bytes: 4096 };
    assert.equal(buildOutcome(at, true, [grown]), undefined);
  });
});

describe("bytesOfStep", () => {
  it("divides the volume between the image and the zeroes behind it", () => {
    const tail = bytesOfStep({ kind: "zeroTail", toBytes: 1024 }, 1000);
    const image = bytesOfStep({ kind: "populateVolume", digest: "a".repeat(64) }, 1000);
    assert.deepEqual([image, tail], [1000, 24]);
  });

  it("counts only what is new of a volume that grows", () => {
    assert.equal(
      bytesOfStep({ kind: "growVolume", fromBytes: 10, hasBytes: 10, toBytes: 50 }, 0),
      40,
    );
  });
});

describe("parseStepOutcomes", () => {
  it("reads steps in their order", () => {
    assert.deepEqual(parseStepOutcomes("populateVolume:2000:1000 zeroTail:0:24 "), [
      populate,
      zeroTail,
    ]);
  });

  it("reads nothing else, whatever it is", () => {
    assert.deepEqual(parseStepOutcomes(undefined), []);
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const { seconds, bytes } of parseStepOutcomes(text))
          assert.ok(seconds >= 0 && Number.isSafeInteger(bytes));
      }),
    );
  });
});

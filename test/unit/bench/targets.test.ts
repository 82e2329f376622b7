import * as assert from "node:assert/strict";
import { renderReport } from "../../../bench/core/report.ts";
import { type Figures, judge, median } from "../../../bench/core/targets.ts";

const figures: Figures & { growth: ReadonlyMap<number, { cold: number; warm: number }> } = {
  seconds: {
    ...{ downloadFloor: 0.5, decodeFloor: 2, zstdDecodeFloor: 1, writeFloor: 0.4 },
    ...{ naive: 3, peer: 4, cold: 2.2, warm: 2.1, zstdWarm: 1.2 },
    ...{ previewOne: 2, previewHundred: 3.2, link: 16, linkCold: 16.5 },
  },
  volumes: new Map([
    [1, 2.2],
    [8, 4],
  ]),
  downloads: 1,
  bytesWrittenUnchanged: 0,
  peakMiB: new Map([
    [205, 100],
    [4096, 110],
  ]),
  growth: new Map([[205, { cold: 1, warm: 0.5 }]]),
};

const broken = (more: Partial<Figures>): string[] =>
  judge({ ...figures, ...more })
    .filter(({ holds }) => holds === false)
    .map(({ promise }) => promise);

describe("judge", () => {
  it("tells which promises hold", () => {
    assert.deepEqual(broken({}), ["preview of 100 volumes / of one"]);
  });

  it("holds a cold volume against the slowest of its floors, the naive and the other way", () => {
    const seconds = { ...figures.seconds, cold: 3.1 };
    assert.deepEqual(broken({ seconds }), [
      "cold / the largest of download, decode and write",
      "cold / naive",
      "cold / the other program's steps",
      "preview of 100 volumes / of one",
    ]);
  });

  it("bounds many volumes by one download and as many writes", () => {
    const seen = judge(figures).find(({ promise }) => promise.startsWith("8 volumes"));
    assert.equal(seen?.seen, 4 / (0.5 + 8 * 0.4));
  });

  it("takes a second download, a byte written and memory that grows for broken promises", () => {
    const peakMiB = new Map([
      [205, 100],
      [4096, 150],
    ]);
    assert.deepEqual(broken({ downloads: 2, bytesWrittenUnchanged: 512, peakMiB }).length, 4);
  });

  it("calls what was not measured neither kept nor broken", () => {
    const verdicts = judge({ seconds: {}, volumes: new Map(), peakMiB: new Map() });
    assert.ok(verdicts.every(({ seen, holds }) => seen === undefined && holds === undefined));
  });
});

describe("median", () => {
  it("is the middle, or between the two in the middle", () => {
    assert.equal(median([9, 1, 2]), 2);
    assert.equal(median([9, 1, 2, 4]), 3);
    assert.equal(median([7]), 7);
  });
});

describe("renderReport", () => {
  const circumstances = {
    ...{ date: "2026-01-01", commit: "abc", processor: "P", cores: 2, memoryGiB: 8 },
    ...{ kernel: "6", loadBefore: 0.1, loadAfter: 1, tools: ["qemu-img 7"], runs: 3 },
    image: { dataMiB: 514, virtualMiB: 2048, zlibMiB: 194, zstdMiB: 198 },
  };

  it("shows ratios with their limits, and what was not measured as such", () => {
    const seconds = { naive: 3, cold: 2.2 };
    const text = renderReport(circumstances, figures, judge({ ...figures, seconds }));
    assert.match(text, /\| cold \/ naive \| 0\.73 \| ≤ 1 \| holds \|/);
    assert.match(text, /\| preview of 100 volumes \/ of one \| not measured \|/);
    assert.doesNotMatch(text, /busy/);
  });

  it("says that figures of a busy machine are worth nothing", () => {
    const text = renderReport({ ...circumstances, loadBefore: 9.5 }, figures, []);
    assert.match(text, /busy with other work: 9\.5 processes wanted its 2 cores/);
  });
});

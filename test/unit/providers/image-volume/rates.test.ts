import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Step } from "../../../../providers/image-volume/core/plan.ts";
import { estimateSeconds, parseRates } from "../../../../providers/image-volume/core/rates.ts";
import { scriptLibrary } from "../../../../providers/image-volume/core/script-library.ts";
import { digest } from "../../../support/volume-situations.ts";
import { makeScratch, type Scratch } from "../../../support/scratch.ts";

const mebibyte = 2 ** 20;
const fetch: Step = { kind: "fetchImage", digest, bytes: 100 * mebibyte };
const populate: Step = { kind: "populateVolume", digest };
const mark: Step = { kind: "markPopulated", addTags: [], removeTags: [] };

describe("estimateSeconds", () => {
  const rates = parseRates([
    `fetchImage 2000 ${String(50 * mebibyte)}`,
    `populateVolume 500 ${String(25 * mebibyte)}`,
    "markPopulated 300 1.5",
  ]);

  it("goes by what each byte, or each step, has taken", () => {
    assert.equal(estimateSeconds([fetch, populate, mark], rates, 100 * mebibyte), 4 + 2 + 0.2);
    assert.equal(estimateSeconds([populate], rates, 25 * mebibyte), 0.5);
    assert.equal(estimateSeconds([mark], rates, 0), 0.2);
  });

  it("counts the fetch and the writing of a new volume once, since they go on at the same time", () => {
    const create: Step = { kind: "createVolume", bytes: 1, addTags: [] };
    const steps = [fetch, create, populate, mark];
    assert.equal(estimateSeconds(steps, rates, 100 * mebibyte), 4 + 0.2);
  });

  it("says nothing where a step that counts has not been measured, or nothing is to be done", () => {
    const zero: Step = { kind: "zeroVolume", toBytes: 1 };
    assert.equal(estimateSeconds([fetch, zero], rates, 1), undefined);
    assert.equal(estimateSeconds([fetch], new Map(), 1), undefined);
    assert.equal(estimateSeconds([], rates, 1), undefined);
    assert.equal(estimateSeconds([{ kind: "switchVolume" }, mark], rates, 1), 0.2);
  });
});

describe("parseRates", () => {
  it("leaves out what is not a rate", () => {
    const lines = [
      "a b c",
      "fetchImage 5",
      "fetchImage 1 0",
      "fetchImage -1 5",
      "x 1 2 3",
      "; 1 2",
    ];
    assert.deepEqual(parseRates(lines), new Map());
    assert.deepEqual(
      parseRates(["zeroVolume 0 12.50"]),
      new Map([["zeroVolume", { milliseconds: 0, amount: 12.5 }]]),
    );
  });
});

describe("gw_keep_rates", () => {
  let scratch: Scratch;
  before(() => {
    scratch = makeScratch("rates");
  });
  after(() => {
    scratch.remove();
  });

  const keep = (...took: string[]): string => {
    const file = path.join(scratch.folder, "rates");
    const notes = took.map((each) => `gw_rates+="+${each}"$'\\n'`);
    const script = [
      "set -euo pipefail",
      scriptLibrary,
      ...notes,
      `gw_keep_rates "${file}" || true`,
      "gw_done=1",
    ].join("\n");
    const { status, stderr } = spawnSync("bash", [], { input: script, encoding: "utf8" });
    assert.equal(status, 0, stderr);
    const lines = fs.existsSync(file) ? fs.readFileSync(file, "utf8").split(/(?<=\n)/) : [];
    return lines.sort().join("");
  };

  it("counts earlier runs half each time, and learns nothing from what is small", () => {
    assert.equal(
      keep("fetchImage 1000 2097152", "fetchImage 9 100", "markPopulated 8 1"),
      "fetchImage 1000 2097152.00\nmarkPopulated 8 1.00\n",
    );
    assert.equal(keep("markPopulated 10 1"), "fetchImage 1000 2097152.00\nmarkPopulated 14 1.50\n");
    assert.equal(keep(), "fetchImage 1000 2097152.00\nmarkPopulated 14 1.50\n");
  });

  it("makes no cache where there is none", () => {
    scratch.remove();
    assert.equal(keep("markPopulated 10 1"), "");
  });
});

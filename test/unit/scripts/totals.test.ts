import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { renderFaultTable } from "../../support/fault-table.ts";
import {
  renderFailures,
  renderLongest,
  renderTotals,
  type TestResult,
} from "../../support/totals.ts";

const checkout = path.resolve(import.meta.dirname, "../../..");

/** Runs mocha as `make test` does, over a file of its own. */
function mocha(source: string, ...options: string[]) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-totals-"));
  const file = path.join(folder, "some.test.cjs");
  fs.writeFileSync(file, source);
  try {
    return spawnSync(process.execPath, ["node_modules/mocha/bin/mocha.js", ...options, file], {
      cwd: checkout,
      encoding: "utf8",
    });
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

describe("the totals reporter", function () {
  this.timeout(30_000);

  it("ends with one line that counts what passed, failed and was skipped", () => {
    const { stdout, status } = mocha(`
      describe("some", () => {
        it("passes", () => {});
        it("passes, too", () => {});
        it("fails", () => { throw new Error("no"); });
        it("is skipped", function () { this.skip(); });
      });`);
    assert.equal(stdout.trimEnd().split("\n").at(-1), "2 passed, 1 failed, 1 skipped");
    assert.equal(status, 1);
  });

  it("counts a hook that fails, so that its tests are not silently missing", () => {
    const { stdout, status } = mocha(`
      describe("some", () => {
        before(() => { throw new Error("no"); });
        it("never runs", () => {});
      });`);
    assert.equal(stdout.trimEnd().split("\n").at(-1), "0 passed, 1 failed, 0 skipped");
    assert.notEqual(status, 0);
  });

  it("leaves the results to be added up, and shown by fault, when it is asked to", () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-results-"));
    const file = path.join(folder, "results.json");
    const source = `
      describe("some", () => {
        it("#3 #41 passes", () => {});
        it("#5 fails", () => { throw new Error("no"); });
        it("#6 is skipped", function () { this.skip(); });
      });`;
    try {
      const { stdout, status } = mocha(source, "--reporter-option", `results=${file}`);
      assert.equal(status, 1);
      assert.doesNotMatch(stdout, /^\d+ passed, /m);
      const results = JSON.parse(fs.readFileSync(file, "utf8")) as TestResult[];
      assert.match(renderLongest(results), /^Longest:\n +0 s {2}\S+some\.test\.cjs\n$/);
      const table = renderFaultTable(results);
      for (const line of [
        /^#3 +passed +1 /m,
        /^#41 +passed +1 /m,
        /^#5 +failed /m,
        /^#6 +skipped /m,
      ])
        assert.match(table, line);
      assert.match(table, /^41 faults: 2 passed, 1 failed, 1 skipped, /m);
      assert.equal(renderTotals(results), "1 passed, 1 failed, 1 skipped");
      assert.match(renderFailures(results), /^Failed:\n- some #5 fails\n {4}Error: no\n {8}at /);
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });

  it("names the files that took longest, all of their tests together", () => {
    assert.equal(renderLongest([{ title: "without times", state: "passed" }]), "");
    const results: TestResult[] = Array.from({ length: 24 }, (_, index) => ({
      ...{ title: "some", state: "passed", file: `${String(index % 12)}.test.ts`, seconds: index },
    }));
    const lines = renderLongest(results).trimEnd().split("\n");
    assert.deepEqual(lines.slice(0, 3), [
      "Longest:",
      "    34 s  11.test.ts",
      "    32 s  10.test.ts",
    ]);
    assert.equal(lines.length, 11);
  });

  it("counts hooks with the tests beside them", () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-results-"));
    const file = path.join(folder, "results.json");
    const source = `
      const wait = () => new Promise((resolve) => setTimeout(resolve, 300));
      describe("some", () => { before(wait); it("is quick", () => {}); after(wait); });`;
    try {
      mocha(source, "--reporter-option", `results=${file}`);
      const [result] = JSON.parse(fs.readFileSync(file, "utf8")) as TestResult[];
      assert.ok((result?.seconds ?? 0) >= 0.55, JSON.stringify(result));
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });

  it("names failures once more at a run's end, with what fits of their errors", () => {
    assert.equal(renderFailures([{ title: "fine", state: "passed" }]), "");
    const error = Array.from({ length: 40 }, (_, index) => `line ${String(index)}`).join("\n\n");
    const lines = renderFailures([
      { title: "fails", fullTitle: "some fails", state: "failed", error },
      { title: "says nothing", state: "failed" },
    ]).split("\n");
    assert.deepEqual(lines.slice(0, 3), ["Failed:", "- some fails", "    line 0"]);
    assert.deepEqual(lines.slice(13), ["    line 11", "    …", "- says nothing", ""]);
  });
});

import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { type FaultRow, faultTable, renderFaultTable, rowsOf } from "../../support/fault-table.ts";
import { hostileImages } from "../../support/hostile-images.ts";

const tests = path.resolve(import.meta.dirname, "../..");

/** The rows that titles of tests name, read from the sources: also of tests that this machine skips. */
function rowsWithTests(): Set<number> {
  const titles = fs
    .readdirSync(tests, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts") && path.basename(file) !== "fault-table.test.ts")
    .flatMap((file) => [
      ...fs.readFileSync(path.join(tests, file), "utf8").matchAll(/\bit\(\s*["`]((?:#\d+ )+)/g),
    ]);
  return new Set([
    ...titles.flatMap(([, named = ""]) => rowsOf(named)),
    ...Object.values(hostileImages).map(({ row }) => row),
  ]);
}

describe("the table of faults", () => {
  it("has 41 rows, each with a test", () => {
    assert.equal(faultTable.length, 41);
    const named = rowsWithTests();
    const missing = faultTable.filter(({ row }) => !named.has(row));
    assert.deepEqual(missing, []);
  });

  it("is the one that docs/faults.md shows", () => {
    const shown = fs.readFileSync(path.join(tests, "../docs/faults.md"), "utf8");
    const rows = shown.split("\n").flatMap((line) => {
      const cells = line.split("|").map((cell) => cell.trim());
      return /^\d+$/.test(cells[1] ?? "") ? [cells.slice(1, 4)] : [];
    });
    assert.deepEqual(
      rows,
      faultTable.map(({ row, fault, mustHappen }) => [String(row), fault, mustHappen]),
    );
  });

  it("is named by no test that has a row of its own invention", () => {
    const unknown = [...rowsWithTests()].filter((row) => row < 1 || row > faultTable.length);
    assert.deepEqual(unknown, []);
  });
});

describe("rowsOf", () => {
  it("reads the numbers in front of a title, and none behind", () => {
    assert.deepEqual(rowsOf("#17 fetches once"), [17]);
    assert.deepEqual(rowsOf("#35 #37 shows that #3 is gone"), [35, 37]);
    assert.deepEqual(rowsOf("fetches #17 once"), []);
    assert.deepEqual(rowsOf("#17fetches"), []);
  });
});

describe("renderFaultTable", () => {
  const row = (number: number): FaultRow => ({
    row: number,
    fault: `fault ${String(number)}`,
    mustHappen: "nothing",
  });

  it("tells for each row what its tests say together, a failure first", () => {
    const table = [row(1), row(2), row(3), row(4)];
    assert.equal(
      renderFaultTable(
        [
          { title: "#1 one", state: "passed" },
          { title: "#1 #2 both", state: "passed" },
          { title: "#2 fails", state: "failed" },
          { title: "#3 runs", state: "passed" },
          { title: "#3 is skipped", state: "skipped" },
          { title: "something else", state: "failed" },
        ],
        table,
      ),
      [
        "FAULT  RESULT   TESTS",
        "#1     passed   2      fault 1",
        "#2     failed   2      fault 2",
        "#3     skipped  2      fault 3",
        "#4     missing  0      fault 4",
        "4 faults: 1 passed, 1 failed, 1 skipped, 1 missing",
      ].join("\n"),
    );
  });
});

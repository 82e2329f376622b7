import assert from "node:assert/strict";
import fc from "fast-check";
import { formatBytes, formatSeconds, formatTable } from "../../../scripts/lib/units.ts";

describe("formatSeconds", () => {
  const cases: [number, string][] = [
    [0, "0.0 s"],
    [12.34, "12.3 s"],
    [59.94, "59.9 s"],
    [59.96, "1 min 0 s"],
    [125.4, "2 min 5 s"],
    [119.7, "2 min 0 s"],
  ];
  for (const [seconds, text] of cases)
    it(`writes ${String(seconds)} as ${text}`, () => {
      assert.equal(formatSeconds(seconds), text);
    });
});

describe("formatBytes", () => {
  const cases: [number, string][] = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1 KiB"],
    [1.5 * 1024 ** 2, "1.5 MiB"],
    [190 * 1024 ** 2, "190 MiB"],
    [1024 ** 2 - 1, "1 MiB"],
    [40 * 1024 ** 3, "40 GiB"],
  ];
  for (const [bytes, text] of cases)
    it(`writes ${String(bytes)} as ${text}`, () => {
      assert.equal(formatBytes(bytes), text);
    });

  it("never shows a number of four digits below the largest unit", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1024, max: 2 ** 49 }), (bytes) => {
        const [number] = formatBytes(bytes).split(" ");
        assert.ok(Number(number) < 1024);
      }),
    );
  });
});

describe("formatTable", () => {
  it("aligns columns and leaves no space at the end of a line", () => {
    assert.deepEqual(
      formatTable([
        ["MACHINE", "SSH"],
        ["a-long-name", "x"],
        ["b", ""],
      ]),
      ["MACHINE      SSH", "a-long-name  x", "b"],
    );
  });
});

import * as assert from "node:assert/strict";
import { progressReporter } from "../../../../providers/image-volume/effects/progress.ts";

describe("progressReporter", () => {
  const run = (lines: [number, string][], totals: { fetch?: number } = {}): string[] => {
    const said: string[] = [];
    let now = 0;
    const report = progressReporter(
      "vm1-root",
      totals,
      (line) => said.push(line),
      () => now,
    );
    for (const [at, line] of lines) {
      now = at;
      report(line);
    }
    return said;
  };

  it("tells bytes and rate of a fetch", () => {
    const mebibyte = 2 ** 20;
    assert.deepEqual(
      run(
        [
          [2000, `@progress fetch ${String(10 * mebibyte)}`],
          [4000, `@progress fetch ${String(30 * mebibyte)}`],
        ],
        { fetch: 190 * mebibyte },
      ),
      [
        "vm1-root: fetching the image, 10 MiB of 190 MiB",
        "vm1-root: fetching the image, 30 MiB of 190 MiB, 10 MiB/s",
      ],
    );
  });

  it("tells how far a convert is", () => {
    assert.deepEqual(run([[5000, "@progress convert 42.42"]]), [
      "vm1-root: writing the image, 42 %",
    ]);
  });

  it("says at most one line every two seconds", () => {
    const lines = Array.from({ length: 100 }, (_, index): [number, string] => [
      5000 + index * 100,
      `@progress convert ${String(index)}`,
    ]);
    assert.ok(run(lines).length <= 6);
  });

  it("keeps everything else to itself", () => {
    assert.deepEqual(
      run([
        [5000, "@value header QUJD"],
        [9000, "anything"],
      ]),
      [],
    );
  });
});

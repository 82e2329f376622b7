import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { frameScript, quote, quoteAll } from "../../../../providers/host/core/script.ts";

describe("quote", () => {
  it("leaves ordinary words as they are", () => {
    assert.equal(quote("/dev/lab/vm1-root"), "/dev/lab/vm1-root");
  });

  it("gives a real shell back exactly the words that went in", () => {
    const word = fc
      .oneof(
        fc.string({ unit: "grapheme" }),
        fc.constantFrom("", "'", "a'b", "$(id)", "-n", "a\nb", "\\", "*", "~", "`id`", "!x"),
      )
      .filter((text) => !text.includes("\0"));
    fc.assert(
      fc.property(fc.array(word, { maxLength: 20 }), (words) => {
        const script = `printf '%s\\0' ${quoteAll(words)} end`;
        const printed = execFileSync("sh", ["-c", script], { encoding: "utf8" });
        assert.deepEqual(printed.split("\0").slice(0, -1), [...words, "end"]);
      }),
      { numRuns: 50 },
    );
  });
});

describe("frameScript", () => {
  it("counts bytes, not characters", () => {
    assert.equal(frameScript("echo ü"), "7\necho ü");
  });
});

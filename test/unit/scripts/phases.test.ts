import assert from "node:assert/strict";
import { createProgress, lineSplitter } from "../../../scripts/lib/phases.ts";

function recorder(): { text: string; write(text: string): void } {
  return {
    text: "",
    write(text) {
      this.text += text;
    },
  };
}

describe("createProgress", () => {
  it("writes heading, lines with the time so far, and a closing line", async () => {
    const terminal = recorder();
    let now = 100;
    const progress = createProgress(terminal, () => now);
    const result = await progress.phase("Images", () => {
      now += 2.5;
      progress.report("building\nuploading\n");
      now += 1;
      return Promise.resolve("done");
    });
    assert.equal(result, "done");
    assert.equal(
      terminal.text,
      "▸ Images\n     2.5 s  building\n     2.5 s  uploading\n✓ Images 3.5 s\n",
    );
    assert.deepEqual(progress.timings, [{ title: "Images", seconds: 3.5 }]);
  });

  it("marks a phase that fails, passes the error on and does not count its time", async () => {
    const terminal = recorder();
    const progress = createProgress(terminal, () => 0);
    const failure = new Error("no");
    await assert.rejects(
      progress.phase("Images", () => Promise.reject(failure)),
      failure,
    );
    assert.match(terminal.text, /✗ Images/);
    assert.deepEqual(progress.timings, []);
  });

  it("uses colours on a terminal only", async () => {
    const terminal = { ...recorder(), isTTY: true };
    await createProgress(terminal, () => 0).phase("Images", () => Promise.resolve());
    assert.match(terminal.text, /\u001b\[32m✓/);
  });
});

describe("lineSplitter", () => {
  it("gives out whole lines however the text is cut, and the rest at the end", () => {
    const lines: string[] = [];
    const splitter = lineSplitter((line) => lines.push(line));
    for (const piece of ["a", "b\nc", "\r\n", "\nlast"]) splitter.write(piece);
    assert.deepEqual(lines, ["ab", "c", ""]);
    splitter.end();
    assert.deepEqual(lines, ["ab", "c", "", "last"]);
  });
});

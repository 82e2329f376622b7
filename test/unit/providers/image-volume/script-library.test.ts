import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { scriptLibrary } from "../../../../providers/image-volume/core/script-library.ts";

function run(...lines: string[]): { status: number | null; lines: string[] } {
  const script = ["set -euo pipefail", scriptLibrary, ...lines].join("\n");
  const { status, stdout } = spawnSync("bash", ["-c", script], { encoding: "utf8" });
  return { status, lines: stdout.split("\n").filter((line) => line !== "") };
}

describe("gw_finish", () => {
  const undo = `gw_undo+=('echo first' 'echo second')`;

  it("takes back what the script made, newest first, when a command fails", () => {
    assert.deepEqual(run(undo, "(exit 7)"), { status: 7, lines: ["second", "first"] });
  });

  it("takes nothing back at the end of a script", () => {
    assert.deepEqual(run(undo, "gw_done=1"), { status: 0, lines: [] });
  });

  it("takes it back when the script is ended", () => {
    assert.deepEqual(run(undo, "kill -TERM $$; sleep 5"), {
      status: 143,
      lines: ["second", "first"],
    });
  });

  it("goes on with that when the signal comes in the midst of it", () => {
    const undo =
      "gw_undo+=('bash -c \"kill -TERM \\$\\$; echo first\"' 'kill -TERM $$' 'echo second')";
    assert.deepEqual(run(undo, "(exit 143)"), { status: 143, lines: ["second", "first"] });
  });
});

import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";

/** Fails unless bash can parse the script. */
export const assertBash = (script: string): void => {
  const { status, stderr } = spawnSync("bash", ["-n"], { input: script, encoding: "utf8" });
  assert.equal(status, 0, stderr);
};

/** Fails unless the texts stand in this order in the script, after it has taken its lock if it takes one. */
export const assertOrder = (script: string, ...texts: string[]): void => {
  const begin = ["\ngw_lock ", "\ngw_begin\n"].map((line) => script.indexOf(line));
  const body = script.slice(begin.find((index) => index >= 0) ?? 0);
  const places = texts.map((text) => body.indexOf(text));
  assert.ok(!places.includes(-1), `missing: ${texts[places.indexOf(-1)] ?? ""}`);
  assert.deepEqual(
    places,
    [...places].sort((one, other) => one - other),
  );
};

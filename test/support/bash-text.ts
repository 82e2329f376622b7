import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";

/** Fails unless bash can parse the script. */
export const assertBash = (script: string): void => {
  const { status, stderr } = spawnSync("bash", ["-n"], { input: script, encoding: "utf8" });
  assert.equal(status, 0, stderr);
};

/** Fails unless the texts stand in this order in what the script does once it has its lock. */
export const assertOrder = (script: string, ...texts: string[]): void => {
  const body = script.slice(script.indexOf("\ngw_lock "));
  const places = texts.map((text) => body.indexOf(text));
  assert.ok(!places.includes(-1), `missing: ${texts[places.indexOf(-1)] ?? ""}`);
  assert.deepEqual(
    places,
    [...places].sort((one, other) => one - other),
  );
};

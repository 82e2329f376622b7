import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

const folder = path.resolve(import.meta.dirname, "../golden");

/**
 * Compares a rendered text with test/golden/<name>; with UPDATE_GOLDEN=1 it writes the file, whose
 * change is then to be read in the diff.
 */
export function assertGolden(name: string, text: string): void {
  const file = path.join(folder, name);
  if (process.env["UPDATE_GOLDEN"] === "1") fs.writeFileSync(file, text);
  assert.equal(text, fs.readFileSync(file, "utf8"), `${name} differs; see UPDATE_GOLDEN`);
}

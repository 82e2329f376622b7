import assert from "node:assert/strict";
import { compileGlob } from "../../../../tools/command-plugin/globs.ts";

describe("compileGlob", () => {
  const cases: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ["*.js", ["a.js", ".js"], ["a/b.js", "a.jsx"]],
    ["src/**.js", ["src/a.js", "src/deep/b.js"], ["a.js"]],
    ["assets/**", ["assets/a/b"], ["assets"]],
    ["**secret.*", ["a/secret.txt", "my-secret.x"], ["secret"]],
    ["file?", ["file1"], ["file", "file/", "file12"]],
    ["[a-c]x", ["ax", "cx"], ["dx"]],
    ["[!a-c]x", ["dx"], ["ax"]],
    ["{one,two}.txt", ["one.txt", "two.txt"], ["three.txt", "one,two.txt"]],
    ["a+b(1).txt", ["a+b(1).txt"], ["aab1.txt"]],
    ["\\*.txt", ["*.txt"], ["a.txt"]],
  ];
  for (const [glob, matching, others] of cases)
    it(`reads ${glob} as the plugin does`, () => {
      const pattern = compileGlob(glob);
      for (const file of matching) assert.match(file, pattern);
      for (const file of others) assert.doesNotMatch(file, pattern);
    });
});

import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { buildAsset } from "./values.ts";
import type { Value } from "./values.ts";

/**
 * The files below a directory that the rules choose, as assets by their relative path. Rules count in order; one that
 * starts with `!` takes files away again. `*` and `?` stay within a folder, `**` does not.
 */
export function readAssets(directory: string, rules: readonly string[]): Record<string, Value> {
  const matchers = rules.map((rule) => ({
    takesAway: rule.startsWith("!"),
    pattern: compileGlob(rule.replace(/^!/, "")),
  }));
  const isChosen = (file: string): boolean =>
    matchers.reduce(
      (chosen, { takesAway, pattern }) => (pattern.test(file) ? !takesAway : chosen),
      false,
    );
  const chosen = fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)))
    .filter(isChosen)
    .sort();
  return Object.fromEntries(
    chosen.map((file) => {
      const content = fs.readFileSync(path.join(directory, file));
      const hash = createHash("sha256").update(content).digest("hex");
      return [file, buildAsset(path.join(directory, file), hash)];
    }),
  );
}

/** A glob as a regular expression over paths with `/`. Knows `*`, `**`, `?`, `[ab]`, `[!ab]`, `{a,b}` and `\`. */
export function compileGlob(glob: string): RegExp {
  let depth = 0;
  const source = glob.replace(
    /\\(.)|\*\*|\*|\?|\[(!?)([^\]]+)\]|[{},]|[.+^$()|[\]]/gs,
    (part, escaped?: string, negated?: string, set?: string) => {
      if (escaped !== undefined) return escapeCharacter(escaped);
      if (set !== undefined)
        return `[${negated === "!" ? "^" : ""}${set.replace(/[\\^[]/g, "\\$&")}]`;
      if (part === "**") return ".*";
      if (part === "*") return "[^/]*";
      if (part === "?") return "[^/]";
      if (part === "{") return ((depth += 1), "(?:");
      if (part === "}" && depth > 0) return ((depth -= 1), ")");
      if (part === ",") return depth > 0 ? "|" : ",";
      return escapeCharacter(part);
    },
  );
  return new RegExp(`^${source}$`, "s");
}

function escapeCharacter(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/]/, "\\$&");
}

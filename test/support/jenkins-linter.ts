import { execa } from "execa";
import * as fs from "node:fs";
import * as path from "node:path";
import { cacheRoot, isExecutable } from "../../scripts/lib/tools-paths.ts";

/** The release of jdp, a parser of Jenkins' declarative syntax that is no part of Jenkins. */
const version = "0.2.2";

/** The linter's program; built by Cargo from its registry when the cache has none. */
export async function ensureJenkinsLinter(): Promise<string> {
  const folder = path.join(cacheRoot(process.env), "tools", `jdp-${version}`);
  const program = path.join(folder, "bin/jdp");
  if (isExecutable(program)) return program;
  const temporary = `${folder}.${String(process.pid)}.new`;
  try {
    await execa("cargo", ["install", "--locked", "--root", temporary, `jdp@${version}`]);
    fs.rmSync(folder, { recursive: true, force: true });
    fs.renameSync(temporary, folder);
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true });
  }
  return program;
}

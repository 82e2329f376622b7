import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { GroundworkError } from "../../providers/errors.ts";
import { quote } from "../../providers/host/core/script.ts";
import type { Mend } from "./tools-mends.ts";
import type { RunCommand } from "./tools-run.ts";
import { cacheRoot, toolPaths } from "./tools-paths.ts";
import { tools } from "./tools-pins.ts";
import type { Recipe, ToolName } from "./tools-pins.ts";
import { cacheEntry, replaceFile, toolKey, toolSources, writeStamp } from "./tools-state.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** What `go` runs with, whatever the user has set for other projects: exactly the pinned modules, static binaries. */
export const goEnvironment = {
  GOFLAGS: "-mod=readonly -buildvcs=false",
  GOWORK: "off",
  CGO_ENABLED: "0",
  // Compilers are many and short: collecting their garbage less often saves a sixth of a build.
  GOGC: "400",
} as const;

/** Makes a tool into its cache entry, which appears whole or not at all. */
export async function buildTool(env: Environment, tool: ToolName, run: RunCommand): Promise<void> {
  const entry = cacheEntry(env, tool, toolKey(tool));
  const temporary = `${entry}.${String(process.pid)}.new`;
  sweepUnfinished(env);
  fs.mkdirSync(temporary, { recursive: true });
  try {
    await make(tool, temporary, run);
    fs.rmSync(entry, { recursive: true, force: true });
    fs.renameSync(temporary, entry);
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true });
  }
}

async function make(tool: ToolName, folder: string, run: RunCommand): Promise<void> {
  const { recipe } = tools[tool];
  const product = path.join(folder, tool);
  switch (recipe.kind) {
    case "go": {
      const sources = path.join(toolSources, recipe.module);
      const build = (cwd: string): Promise<string> =>
        run("go", buildArguments(recipe, product), { cwd, env: goEnvironment });
      await (recipe.mend === undefined
        ? build(sources)
        : withMended(sources, recipe.mend, run, build));
      return;
    }
    case "module-file": {
      const from = await moduleFolder(path.join(toolSources, recipe.module), recipe.from, run);
      fs.copyFileSync(path.join(from, recipe.file), product);
      fs.chmodSync(product, 0o755);
      return;
    }
    case "script":
      await compileScripts(path.join(toolSources, recipe.folder), folder);
  }
}

/** The folder of a module that another one requires, downloaded if need be. */
async function moduleFolder(sources: string, module: string, run: RunCommand): Promise<string> {
  const options = { cwd: sources, env: goEnvironment };
  const found = await run("go", ["mod", "download", "-json", module], options);
  return (JSON.parse(found) as { Dir: string }).Dir;
}

/**
 * Has a tool built in a copy of its module that takes the mended one in place of what it requires.
 * @throws GroundworkError `tool-mend` where the file is not the one that the mend was made for
 */
async function withMended(
  sources: string,
  mend: Mend,
  run: RunCommand,
  build: (folder: string) => Promise<unknown>,
): Promise<void> {
  const copy = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-mended-"));
  try {
    fs.cpSync(sources, copy, { recursive: true });
    const mended = path.join(copy, "mended");
    const from = await moduleFolder(sources, mend.module, run);
    await run("cp", ["-r", "--no-preserve=mode", from, mended]); // modules are kept read-only
    const file = path.join(mended, mend.file);
    fs.writeFileSync(file, applyMend(mend, fs.readFileSync(file, "utf8")));
    fs.appendFileSync(path.join(copy, "go.mod"), `\nreplace ${mend.module} => ./mended\n`);
    await build(copy);
  } finally {
    fs.rmSync(copy, { recursive: true, force: true });
  }
}

/** The file's text with every edit of a mend. @throws GroundworkError `tool-mend` */
export function applyMend({ module, file, edits }: Mend, text: string): string {
  return edits.reduce((before, [from, to]) => {
    const parts = before.split(from);
    if (parts.length === 2) return parts.join(to);
    throw new GroundworkError({
      code: "tool-mend",
      message: `${file} of ${module} has ${JSON.stringify(from)} ${String(parts.length - 1)} times where the mend of scripts/lib/tools-mends.ts expects it once.`,
      next: "Its version in go.mod has changed: see whether the mend is still needed, and adapt it or take it out.",
    });
  }, text);
}

/**
 * Downloads the modules of tools that are built later, one tool after the other: done while the first is
 * compiled, the others need not wait for the network. What fails here fails, and is told, in its build.
 */
export async function prefetchModules(
  later: readonly ToolName[],
  run: RunCommand,
  signal: AbortSignal,
): Promise<void> {
  for (const tool of later) {
    const { recipe } = tools[tool];
    if (recipe.kind !== "go" || signal.aborted) continue;
    await run("go", ["list", "-deps", "-f", "{{/* nothing */}}", recipe.package], {
      ...{ cwd: path.join(toolSources, recipe.module), env: goEnvironment, signal },
    }).catch(() => undefined);
  }
}

/** The arguments with which `go` builds a tool: reproducibly, and without a path of this machine inside. */
export function buildArguments(recipe: Recipe & { kind: "go" }, product: string): string[] {
  // No linker here keeps what debuggers would read, so no compiler need write it.
  const lean = ["-trimpath", "-gcflags=all=-dwarf=false"];
  return ["build", ...lean, "-ldflags", recipe.ldflags, "-o", product, recipe.package];
}

/** Compiles each TypeScript file of a folder to an ES module that plain node runs. */
export async function compileScripts(from: string, to: string): Promise<void> {
  const { default: ts } = await import("typescript");
  for (const name of fs.readdirSync(from).filter((file) => file.endsWith(".ts"))) {
    const { outputText } = ts.transpileModule(fs.readFileSync(path.join(from, name), "utf8"), {
      fileName: name,
      compilerOptions: {
        module: ts.ModuleKind.ESNext,
        target: ts.ScriptTarget.ES2022,
        verbatimModuleSyntax: true,
        rewriteRelativeImportExtensions: true,
      },
    });
    fs.writeFileSync(path.join(to, name.replace(/\.ts$/, ".js")), outputText);
  }
  fs.writeFileSync(path.join(to, "package.json"), `${JSON.stringify({ type: "module" })}\n`);
}

/** Puts a tool from its cache entry to where it is looked for. */
export function installTool(env: Environment, tool: ToolName): void {
  const entry = cacheEntry(env, tool, toolKey(tool));
  replaceFile(toolPaths(env)[tool], (file) => {
    if (tools[tool].recipe.kind === "script")
      fs.writeFileSync(file, renderLauncher(path.join(entry, "main.js")), { mode: 0o755 });
    else linkOrCopy(path.join(entry, tool), file);
  });
  writeStamp(env, tool, "registries");
}

/** A program that starts a script by the `node` on PATH, in its own place in the process tree. */
export function renderLauncher(script: string): string {
  return `#!/bin/sh\nexec node ${quote(script)} "$@"\n`;
}

function linkOrCopy(from: string, to: string): void {
  try {
    fs.linkSync(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EXDEV" && code !== "EPERM" && code !== "EMLINK") throw error;
    fs.copyFileSync(from, to);
  }
}

/** Removes what interrupted runs left in the cache: entries under the name of a process that is no more. */
function sweepUnfinished(env: Environment): void {
  const folder = path.join(cacheRoot(env), "tools");
  fs.mkdirSync(folder, { recursive: true });
  for (const name of fs.readdirSync(folder)) {
    const pid = /\.(\d+)\.new$/.exec(name)?.[1];
    if (pid !== undefined && !fs.existsSync(`/proc/${pid}`))
      fs.rmSync(path.join(folder, name), { recursive: true, force: true });
  }
}

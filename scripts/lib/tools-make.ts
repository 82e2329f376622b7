import * as fs from "node:fs";
import * as path from "node:path";
import { quote } from "../../providers/host/core/script.ts";
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
    case "go":
      await run("go", buildArguments(recipe, product), {
        cwd: path.join(toolSources, recipe.module),
        env: goEnvironment,
      });
      return;
    case "module-file": {
      const found = await run("go", ["mod", "download", "-json", recipe.from], {
        cwd: path.join(toolSources, recipe.module),
        env: goEnvironment,
      });
      const { Dir } = JSON.parse(found) as { Dir: string };
      fs.copyFileSync(path.join(Dir, recipe.file), product);
      fs.chmodSync(product, 0o755);
      return;
    }
    case "script":
      await compileScripts(path.join(toolSources, recipe.folder), folder);
  }
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

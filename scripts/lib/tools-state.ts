import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as path from "node:path";
import { cacheRoot, isExecutable, minioBinary, pulumiHome, toolPaths } from "./tools-paths.ts";
import { pins, toolNames, tools } from "./tools-pins.ts";
import type { ToolName } from "./tools-pins.ts";
import type { ToolSource, ToolState } from "./tools-plan.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Beside the tools: what set-up put there, so that the next run knows it from what others put there. */
interface Stamp {
  readonly key: string;
  readonly source: ToolSource;
}

/** The folder in which the checkout has the sources of the tools. */
export const toolSources = path.resolve(import.meta.dirname, "../../tools");

/**
 * Names what a tool is made from: the pinned modules or sources, and how they are made into it. The same key, the same
 * tool.
 */
export function toolKey(tool: ToolName, sources: string = toolSources): string {
  const { recipe } = tools[tool];
  const hash = createHash("sha256").update(JSON.stringify(recipe));
  const folder = path.join(sources, recipe.kind === "script" ? recipe.folder : recipe.module);
  const files =
    recipe.kind === "script"
      ? fs.readdirSync(folder).filter((name) => name.endsWith(".ts"))
      : goSources(folder);
  for (const name of files.sort())
    hash.update(`\0${name}\0`).update(fs.readFileSync(path.join(folder, name)));
  if (recipe.kind === "script") hash.update(compilerVersion());
  return hash.digest("hex").slice(0, 16);
}

/** What a Go tool is compiled from, in all folders of its module; its own tests are no part of it. */
function goSources(folder: string): string[] {
  return fs
    .readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => /(^|\/)go\.(mod|sum)$|\.go$/.test(name) && !name.endsWith("_test.go"));
}

/** The cache entry of a tool made from the present sources; it exists only once it is complete. */
export function cacheEntry(env: Environment, tool: ToolName, key: string): string {
  return path.join(cacheRoot(env), "tools", `${tool}-${key}`);
}

/** What is there of each tool. Only looks, at a few small files. */
export function readToolStates(env: Environment): Record<ToolName, ToolState> {
  const states = toolNames.map((tool): [ToolName, ToolState] => [tool, readToolState(env, tool)]);
  return Object.fromEntries(states) as Record<ToolName, ToolState>;
}

function readToolState(env: Environment, tool: ToolName): ToolState {
  const key = toolKey(tool);
  const cached = fs.existsSync(cacheEntry(env, tool, key));
  const stamp = readStamp(env, tool);
  if (stamp?.source === "vendor") {
    // Asked for in so many words, built tools take the place of downloaded ones.
    const unwanted = env["GROUNDWORK_TOOLS"] === "build";
    return { installed: unwanted ? "outdated" : readVendorState(env, tool, stamp), cached };
  }
  const file = tool === "minio" ? minioBinary(env) : toolPaths(env)[tool];
  if (file === undefined || !isExecutable(file)) return { installed: "absent", cached };
  // A launcher is of no use without the cache entry that it starts.
  if (stamp?.key === key && (cached || tools[tool].recipe.kind !== "script"))
    return { installed: "current", cached };
  const isOurs = stamp !== undefined && file === toolPaths(env)[tool];
  return { installed: isOurs ? "outdated" : "other", cached };
}

function readVendorState(env: Environment, tool: ToolName, stamp: Stamp): ToolState["installed"] {
  if (stamp.key !== vendorKey(tool)) return "outdated";
  if (tool === "libvirt-provider") return "current"; // the bridge sees to it
  const file = tool === "minio" ? minioBinary(env) : toolPaths(env)[tool];
  return file !== undefined && isExecutable(file) ? "current" : "absent";
}

/** Names a tool that came from its vendor. */
export function vendorKey(tool: ToolName): string {
  return tool === "minio" ? pins.minioRelease : tools[tool].title;
}

function stampFile(env: Environment, tool: ToolName): string {
  return path.join(pulumiHome(env), "groundwork", `${tool}.json`);
}

function readStamp(env: Environment, tool: ToolName): Stamp | undefined {
  const file = stampFile(env, tool);
  return fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, "utf8")) as Stamp) : undefined;
}

/** Records, after everything else of a tool is in place, where it came from. */
export function writeStamp(env: Environment, tool: ToolName, source: ToolSource): void {
  const key = source === "vendor" ? vendorKey(tool) : toolKey(tool);
  replaceFile(stampFile(env, tool), (file) => {
    fs.writeFileSync(file, `${JSON.stringify({ key, source } satisfies Stamp)}\n`);
  });
}

/** Makes a file under a name of its own and renames it, so that nobody ever sees half of it. */
export function replaceFile(file: string, make: (temporary: string) => void): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.${String(process.pid)}.new`;
  fs.rmSync(temporary, { force: true });
  make(temporary);
  fs.renameSync(temporary, file);
}

function compilerVersion(): string {
  const manifest = createRequire(import.meta.url)("typescript/package.json") as { version: string };
  return manifest.version;
}

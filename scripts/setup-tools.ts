// The second stage of scripts/setup: the tools that npm does not bring, at their pinned versions.
// `--check` only says what is missing, and exits with 1 when something is; and each group of tools is asked for by its name, such as `--tests`.
import * as fs from "node:fs";
import * as path from "node:path";
import { GroundworkError } from "../providers/errors.ts";
import { cacheRoot } from "./lib/tools-paths.ts";
import { toolGroups, type ToolName, tools } from "./lib/tools-pins.ts";
import { describeStep, isReady, planTools, renderDuration, wantedTools } from "./lib/tools-plan.ts";
import type { ToolSource, ToolStep } from "./lib/tools-plan.ts";
import { readToolStates } from "./lib/tools-state.ts";

/** What building writes at most, Go's own caches included, in GiB: measured with both caches empty. */
const buildSpaceGiB = 8;

const checkout = path.resolve(import.meta.dirname, "..");
const home = process.env["GROUNDWORK_HOME"] ?? path.join(checkout, ".groundwork");

try {
  process.exitCode = await setUp(process.argv.includes("--check"));
} catch (error) {
  if (!(error instanceof GroundworkError)) throw error;
  console.error(`scripts/setup: ${error.message}`);
  process.exitCode = 1;
}

async function setUp(checkOnly: boolean): Promise<number> {
  const states = readToolStates(process.env);
  const wanted = wantedTools(toolGroups.filter((group) => process.argv.includes(`--${group}`)));
  if (isReady(states, wanted)) {
    console.log(`Tools: all ${String(wanted.length)} are ready.`);
    return 0;
  }
  if (checkOnly) {
    for (const tool of wanted)
      if (["absent", "outdated"].includes(states[tool].installed))
        console.log(
          `Tools: ${tools[tool].title} (${tools[tool].why}) is ${states[tool].installed}.`,
        );
    return 1;
  }
  await bringUp(states, wanted);
  return 0;
}

/** Kept apart from the check, so that a run with nothing to do loads none of it. */
async function bringUp(
  states: ReturnType<typeof readToolStates>,
  wanted: readonly ToolName[],
): Promise<void> {
  const [{ createProgress }, { commandRunner, openLog }, downloads, make] = await Promise.all([
    import("./lib/phases.ts"),
    import("./lib/tools-run.ts"),
    import("./lib/tools-download.ts"),
    import("./lib/tools-make.ts"),
  ]);
  const log = openLog(home, "setup-tools", new Date());
  const progress = createProgress(process.stdout);
  const run = commandRunner(log, (line) => {
    progress.report(line);
  });

  const source = readForcedSource() ?? (await downloads.probeSource(run));
  console.log(
    source === "vendor"
      ? "Tools: get.pulumi.com answers, so they are downloaded from their vendors."
      : "Tools: get.pulumi.com does not answer, so they are built from pinned Go modules.",
  );
  const goVersion = await run("go", ["env", "GOVERSION"]).then(
    (version) => version.trim(),
    () => undefined,
  );
  const steps = planTools({ source, goVersion, states }, wanted);
  announce(steps);
  requireSpace(steps);

  const builds = steps.filter(({ action }) => action === "build").map(({ tool }) => tool);
  const ended = new AbortController();
  const quietly = commandRunner(log, () => undefined);
  const prefetched = make.prefetchModules(builds.slice(1), quietly, ended.signal);
  try {
    for (const step of steps.filter(({ action }) => action !== "keep"))
      await progress.phase(`${step.action} ${tools[step.tool].title}`, async () => {
        log.write(`# ${step.action} ${step.tool}\n`);
        if (step.action === "download" || step.action === "leave")
          return downloads.downloadTool(process.env, step.tool, run);
        if (step.action === "build") await make.buildTool(process.env, step.tool, run);
        make.installTool(process.env, step.tool);
      });
  } finally {
    ended.abort();
    await prefetched;
  }
  console.log(`Tools: all ${String(wanted.length)} are ready. Log: ${log.file}`);
}

function announce(steps: readonly ToolStep[]): void {
  const total = steps.reduce((sum, { seconds }) => sum + seconds, 0);
  console.log(`Tools: ${renderDuration(total)} in all, less where something is cached:`);
  for (const step of steps) {
    const line = describeStep(step);
    if (line !== undefined) console.log(`  - ${line}`);
  }
}

function requireSpace(steps: readonly ToolStep[]): void {
  if (!steps.some(({ action, tool }) => action === "build" && tools[tool].recipe.kind === "go"))
    return;
  const folder = cacheRoot(process.env);
  fs.mkdirSync(folder, { recursive: true });
  const { bavail, bsize } = fs.statfsSync(folder);
  const freeGiB = (bavail * bsize) / 2 ** 30;
  console.log(
    `Tools: building needs up to ${String(buildSpaceGiB)} GiB of disk space, ${freeGiB.toFixed(0)} GiB are free.`,
  );
  if (freeGiB >= buildSpaceGiB) return;
  throw new GroundworkError({
    code: "disk-space",
    message: `The tools cannot be built: ${folder} has ${freeGiB.toFixed(1)} GiB free where ${String(buildSpaceGiB)} GiB are needed.`,
    next: "Free some space there, or point GROUNDWORK_CACHE, GOCACHE and GOMODCACHE to a larger disk.",
  });
}

function readForcedSource(): ToolSource | undefined {
  const wanted = process.env["GROUNDWORK_TOOLS"];
  if (wanted === undefined || wanted === "") return undefined;
  if (wanted === "download") return "vendor";
  if (wanted === "build") return "registries";
  throw new GroundworkError({
    code: "bad-environment",
    message: `GROUNDWORK_TOOLS is ${JSON.stringify(wanted)} where "download" or "build" is expected.`,
    next: "Correct it or unset it: then set-up finds out by itself.",
  });
}

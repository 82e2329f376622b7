import { Argument, Command } from "commander";
import { execa } from "execa";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { renderFaultTable } from "../test/support/fault-table.ts";
import {
  renderFailures,
  renderLongest,
  renderTotals,
  type TestResult,
} from "../test/support/totals.ts";
import { runCommand } from "./lib/cli.ts";
import { checkout } from "./lib/environment.ts";
import { endLingering } from "./lib/lingering.ts";
import { cacheRoot, pulumiHome } from "./lib/tools-paths.ts";

/** In the order in which they run: the fast ones first. */
const kinds = ["unit", "component", "integration", "e2e"];
/** Too slow for every run: only when they are asked for. */
const slow = ["k3s", "observability-e2e"];

/** How long a mocha may take to end by itself after its last test. */
const lingerSeconds = 30;
/** How long one that is ended may take to clear up after itself. */
const cleanUpSeconds = 180;

/** One mocha. */
interface Lane {
  title: string;
  /** Of its tests, as globs. */
  folders: readonly string[];
}

/**
 * The mochas of a run: those of a step side by side, the steps one after the other. Tests with guests
 * and clusters mostly wait for them, so the others run meanwhile, all but those of Compose projects, which
 * make both take about as long; end-to-end tests look at the whole machine and run alone.
 */
function planSteps(chosen: readonly string[]): Lane[][] {
  const lanes = (kind: string, ...all: Lane[]): Lane[] => (chosen.includes(kind) ? all : []);
  return [
    lanes("unit", { title: "unit tests", folders: ["test/unit/**"] }),
    lanes("component", { title: "component tests", folders: ["test/component/**"] }),
    lanes(
      "integration",
      { title: "integration tests", folders: ["test/integration"] },
      {
        title: "tests with guests, clusters and projects",
        folders: ["guests", "clusters", "compose"].map((each) => `test/integration/${each}`),
      },
    ),
    lanes("e2e", { title: "end-to-end tests", folders: ["test/e2e/**"] }),
    lanes("k3s", {
      ...{ title: "tests of clusters", folders: ["test/integration/clusters", "test/k3s"] },
    }),
    lanes("observability-e2e", {
      ...{ title: "tests of the observability lab's machine", folders: ["test/observability-e2e"] },
    }),
  ];
}

/** Runs a mocha; one that runs in the background says what it has to say at its end. */
async function runLane(
  { title, folders }: Lane,
  options: { grep: string | undefined; background: boolean; scratch: string },
): Promise<TestResult[]> {
  // Not named after the lane: mocha splits what it is told at commas.
  const results = path.join(fs.mkdtempSync(path.join(options.scratch, "lane-")), "results.json");
  const child = execa(
    process.execPath,
    [
      path.join("node_modules", "mocha", "bin", "mocha.js"),
      "--forbid-only",
      ...["--reporter-option", `results=${results}`],
      ...(options.grep === undefined ? [] : ["--grep", options.grep]),
      ...folders.map((folder) => `${folder}/*.test.ts`),
    ],
    {
      cwd: checkout,
      stdin: "ignore",
      ...(options.background ? { all: true } : { stdout: "inherit", stderr: "inherit" }),
      reject: false,
      forceKillAfterDelay: cleanUpSeconds * 1000,
      env: {
        GROUNDWORK_CACHE: cacheRoot(process.env),
        PULUMI_HOME: pulumiHome(process.env),
        PULUMI_SKIP_UPDATE_CHECK: "true",
        ...(options.background && process.stdout.isTTY && { FORCE_COLOR: "1" }),
      },
    },
  );
  const lingered = await endLingering(child, results, lingerSeconds);
  const { all = "", shortMessage } = await child;
  if (options.background) process.stdout.write(`\n${title}, which ran meanwhile:\n${all}\n`);
  try {
    const found = JSON.parse(fs.readFileSync(results, "utf8")) as TestResult[];
    const error = `The ${title} were over for ${String(lingerSeconds)} s and had not ended: something that they started still ran. They were ended.`;
    return lingered ? [...found, { title, state: "failed", error }] : found;
  } catch {
    const error = `The ${title} did not come to their end. ${shortMessage ?? "They left no results."}`;
    return [{ title, state: "failed", error }];
  }
}

/** A run of all tests also prints how the table of faults came out. */
async function test(chosen: readonly string[], { grep }: { grep?: string }): Promise<void> {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-results-"));
  const results: TestResult[] = [];
  try {
    for (const step of planSteps(chosen.length === 0 ? kinds : chosen))
      results.push(
        ...(
          await Promise.all(
            step.map((lane, index) => runLane(lane, { grep, background: index > 0, scratch })),
          )
        ).flat(),
      );
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
  if (chosen.length === 0 && grep === undefined)
    process.stdout.write(`${renderFaultTable(results)}\n\n${renderLongest(results)}\n`);
  process.stdout.write(`${renderFailures(results)}${renderTotals(results)}\n`);
  process.exitCode = results.some(({ state }) => state === "failed") ? 1 : 0;
}

await runCommand(
  new Command("make test")
    .description("Runs the tests, and ends with one line of totals.")
    .addArgument(
      new Argument("[kinds...]", "only these kinds of tests").choices([...kinds, ...slow]),
    )
    .option("--grep <text>", "only tests whose title contains the text")
    .addHelpText(
      "after",
      `
A test that needs what this machine lacks is skipped, and says why; with CI=true it fails.

Examples:
  make test                                    everything
  make unit                                    what needs no services
  make integration ARGS='--grep image-volume'  some of one kind
`,
    )
    .action(test),
);

import { Argument, Command } from "commander";
import { execa } from "execa";
import * as path from "node:path";
import { runCommand } from "./lib/cli.ts";
import { checkout } from "./lib/environment.ts";
import { cacheRoot, pulumiHome } from "./lib/tools-paths.ts";

/** In the order in which they run: the fast ones first. */
const kinds = ["unit", "component", "integration", "e2e"];

/**
 * Runs the tests in one mocha, whose last line has the totals; its exit code is ours. A run of all
 * tests also prints how the table of faults came out.
 */
async function test(chosen: readonly string[], { grep }: { grep?: string }): Promise<void> {
  const whole = chosen.length === 0 && grep === undefined;
  const folders = chosen.length === 0 ? kinds : kinds.filter((kind) => chosen.includes(kind));
  const { exitCode } = await execa(
    process.execPath,
    [
      path.join("node_modules", "mocha", "bin", "mocha.js"),
      "--forbid-only",
      // Of some tests only, the table would show nothing but gaps.
      ...(whole ? ["--reporter-option", "faults=yes"] : []),
      ...(grep === undefined ? [] : ["--grep", grep]),
      ...folders.map((folder) => `test/${folder}/**/*.test.ts`),
    ],
    {
      cwd: checkout,
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
      reject: false,
      env: {
        GROUNDWORK_CACHE: cacheRoot(process.env),
        PULUMI_HOME: pulumiHome(process.env),
        PULUMI_SKIP_UPDATE_CHECK: "true",
      },
    },
  );
  process.exitCode = exitCode ?? 1;
}

await runCommand(
  new Command("make test")
    .description("Runs the tests, and ends with one line of totals.")
    .addArgument(new Argument("[kinds...]", "only these kinds of tests").choices(kinds))
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

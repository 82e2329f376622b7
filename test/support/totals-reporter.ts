import * as fs from "node:fs";
import * as path from "node:path";
import Mocha from "mocha";
import { renderTotals, type TestResult } from "./totals.ts";

/**
 * mocha's own `spec` report with one line of totals at the very end; with `--reporter-option
 * results=FILE` the results go there instead, for whoever adds them up.
 */
export default class TotalsReporter extends Mocha.reporters.Spec {
  readonly #results: TestResult[] = [];
  readonly #file: string | undefined;

  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions = {}) {
    super(runner, options);
    const { results } = (options.reporterOptions ?? {}) as Record<string, unknown>;
    this.#file = typeof results === "string" ? results : undefined;
    // Hooks count with the test behind them, those of a file's end with its last one.
    let since = performance.now();
    const passed = (): number => {
      const before = since;
      since = performance.now();
      return (since - before) / 1000;
    };
    const note = (state: TestResult["state"]) => (test: Mocha.Test, error?: Error) =>
      this.#results.push({
        ...{ title: test.title, fullTitle: test.fullTitle(), state, seconds: passed() },
        ...(test.file !== undefined && { file: path.relative(process.cwd(), test.file) }),
        ...(error !== undefined && { error: error.stack ?? error.message }),
      });
    runner.on("suite end", () => {
      const last = this.#results.at(-1);
      if (last?.seconds !== undefined) last.seconds += passed();
    });
    runner.on("pass", note("passed"));
    runner.on("fail", note("failed"));
    runner.on("pending", note("skipped"));
  }

  override epilogue(): void {
    super.epilogue();
    if (this.#file === undefined) process.stdout.write(`${renderTotals(this.#results)}\n`);
    else fs.writeFileSync(this.#file, JSON.stringify(this.#results));
  }
}

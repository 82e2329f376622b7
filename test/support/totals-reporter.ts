import Mocha from "mocha";
import { renderFaultTable, type TestState } from "./fault-table.ts";

/** The closing line that people and CI read. */
export function renderTotals(totals: { passed: number; failed: number; skipped: number }): string {
  return `${String(totals.passed)} passed, ${String(totals.failed)} failed, ${String(totals.skipped)} skipped`;
}

/**
 * mocha's own `spec` report with one line of totals at the very end; before it, with
 * `--reporter-option faults`, the table of faults and how their tests ended.
 */
export default class TotalsReporter extends Mocha.reporters.Spec {
  readonly #tests: { title: string; state: TestState }[] = [];
  readonly #showsFaults: boolean;

  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions = {}) {
    super(runner, options);
    const reporterOptions = (options.reporterOptions ?? {}) as Record<string, unknown>;
    this.#showsFaults = reporterOptions["faults"] !== undefined;
    const note = (state: TestState) => (test: Mocha.Test) =>
      this.#tests.push({ title: test.title, state });
    runner.on("pass", note("passed"));
    runner.on("fail", note("failed"));
    runner.on("pending", note("skipped"));
  }

  override epilogue(): void {
    super.epilogue();
    if (this.#showsFaults) process.stdout.write(`${renderFaultTable(this.#tests)}\n\n`);
    const { passes, failures, pending } = this.stats;
    process.stdout.write(
      `${renderTotals({ passed: passes, failed: failures, skipped: pending })}\n`,
    );
  }
}

import Mocha from "mocha";

/** The closing line that people and CI read. */
export function renderTotals(totals: { passed: number; failed: number; skipped: number }): string {
  return `${String(totals.passed)} passed, ${String(totals.failed)} failed, ${String(totals.skipped)} skipped`;
}

/** mocha's own `spec` report with one line of totals at the very end. */
export default class TotalsReporter extends Mocha.reporters.Spec {
  override epilogue(): void {
    super.epilogue();
    const { passes, failures, pending } = this.stats;
    process.stdout.write(
      `${renderTotals({ passed: passes, failed: failures, skipped: pending })}\n`,
    );
  }
}

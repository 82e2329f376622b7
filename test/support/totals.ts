/** How one test ended. A hook that failed counts as a test of its own. */
export interface TestResult {
  title: string;
  state: "passed" | "failed" | "skipped";
}

/** The closing line that people and CI read. */
export function renderTotals(results: readonly TestResult[]): string {
  const count = (wanted: TestResult["state"]): string =>
    String(results.filter(({ state }) => state === wanted).length);
  return `${count("passed")} passed, ${count("failed")} failed, ${count("skipped")} skipped`;
}

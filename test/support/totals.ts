/** How one test ended. A hook that failed counts as a test of its own. */
export interface TestResult {
  title: string;
  state: "passed" | "failed" | "skipped";
  /** With the titles around it; the default is `title`. */
  fullTitle?: string;
  /** Of a test that failed: the error's message and where it was thrown. */
  error?: string;
  /** From the checkout. */
  file?: string;
  /** Of wall time, with the hooks that ran for it. */
  seconds?: number;
}

/** Lines of an error that are shown once more at the end of a run; all of it stands with its test. */
const errorLines = 12;
/** Files that are named as those that took longest. */
const longestFiles = 10;

/** The closing line that people and CI read. */
export function renderTotals(results: readonly TestResult[]): string {
  const count = (wanted: TestResult["state"]): string =>
    String(results.filter(({ state }) => state === wanted).length);
  return `${count("passed")} passed, ${count("failed")} failed, ${count("skipped")} skipped`;
}

/** The tests that failed, each with its error: what somebody who only sees a run's end needs to know. */
export function renderFailures(results: readonly TestResult[]): string {
  const failed = results.filter(({ state }) => state === "failed");
  if (failed.length === 0) return "";
  const each = failed.map(({ title, fullTitle = title, error = "" }) => {
    const lines = error.split("\n").filter((line) => line.trim() !== "");
    const shown = lines.slice(0, errorLines);
    if (lines.length > shown.length) shown.push("…");
    return [`- ${fullTitle}`, ...shown.map((line) => `    ${line}`)].join("\n");
  });
  return ["Failed:", ...each, ""].join("\n");
}

/** The files that a run spent most of its time in, each with its share: where to look when CI is slow. */
export function renderLongest(results: readonly TestResult[]): string {
  const times = new Map<string, number>();
  for (const { file, seconds } of results)
    if (file !== undefined && seconds !== undefined)
      times.set(file, (times.get(file) ?? 0) + seconds);
  const longest = [...times].sort(([, one], [, other]) => other - one).slice(0, longestFiles);
  if (longest.length === 0) return "";
  return [
    "Longest:",
    ...longest.map(([file, each]) => `${each.toFixed(0).padStart(6)} s  ${file}`),
    "",
  ].join("\n");
}

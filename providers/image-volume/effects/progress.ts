import { formatBytes } from "../core/errors.ts";
import { parseProgress } from "../core/parsers.ts";

/** Turns the `@progress` lines of a script into lines for the user, at most one every two seconds. */
export function progressReporter(
  volume: string,
  totals: { fetch?: number; zero?: number },
  say: (line: string) => void = console.log,
  now: () => number = Date.now,
): (line: string) => void {
  let saidAt = 0;
  let last: { at: number; bytes: number } | undefined;
  return (line) => {
    const progress = parseProgress(line);
    if (progress === undefined) return;
    const at = now();
    if (at - saidAt < 1900) return;
    saidAt = at;
    const { kind, value } = progress;
    if (kind === "convert") say(`${volume}: writing the image, ${value.toFixed(0)} %`);
    if (kind === "zero") say(`${volume}: zeroing, ${formatBytes(value)}${of(totals.zero)}`);
    if (kind === "stop") say(`${volume}: waiting for its domain to shut down, ${String(value)} s`);
    if (kind !== "fetch") return;
    const seconds = last === undefined ? 0 : (at - last.at) / 1000;
    const rate = last === undefined ? "" : `, ${formatBytes((value - last.bytes) / seconds)}/s`;
    say(`${volume}: fetching the image, ${formatBytes(value)}${of(totals.fetch)}${rate}`);
    last = { at, bytes: value };
  };
}

function of(total: number | undefined): string {
  return total === undefined ? "" : ` of ${formatBytes(total)}`;
}

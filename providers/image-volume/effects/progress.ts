import { say } from "../../telemetry/effects/log.ts";
import { formatBytes } from "../core/errors.ts";
import { parseProgress } from "../core/parsers.ts";

/** How far a step is: bytes, per cent for `convert`, seconds for `stop`. */
export interface ProgressEvent {
  kind: string;
  value: number;
  /** Bytes that there are in all, where that is known. */
  total?: number;
}

let listener: ((event: ProgressEvent) => void) | undefined;

/** Has every step of progress told as it comes, beside the lines for the user. */
export function onProgress(told: (event: ProgressEvent) => void): void {
  listener = told;
}

/** Turns the `@progress` lines of a script into lines for the user, at most one every two seconds. */
export function progressReporter(
  volume: string,
  totals: { fetch?: number; zero?: number },
  tell: (line: string) => void = say,
  now: () => number = Date.now,
): (line: string) => void {
  let saidAt = 0;
  let last: { at: number; bytes: number } | undefined;
  return (line) => {
    const progress = parseProgress(line);
    if (progress === undefined) return;
    const { kind, value } = progress;
    const total = kind === "fetch" ? totals.fetch : kind === "zero" ? totals.zero : undefined;
    listener?.({ kind, value, ...(total !== undefined && { total }) });
    const at = now();
    if (at - saidAt < 1900) return;
    saidAt = at;
    if (kind === "convert") tell(`${volume}: writing the image, ${value.toFixed(0)} %`);
    if (kind === "zero") tell(`${volume}: zeroing, ${formatBytes(value)}${of(total)}`);
    if (kind === "stop") tell(`${volume}: waiting for its domain to shut down, ${String(value)} s`);
    if (kind !== "fetch" || value < (last?.bytes ?? 0)) return; // it is in the cache already
    const seconds = last === undefined ? 0 : (at - last.at) / 1000;
    const rate = last === undefined ? "" : `, ${formatBytes((value - last.bytes) / seconds)}/s`;
    tell(`${volume}: fetching the image, ${formatBytes(value)}${of(total)}${rate}`);
    last = { at, bytes: value };
  };
}

function of(total: number | undefined): string {
  return total === undefined ? "" : ` of ${formatBytes(total)}`;
}

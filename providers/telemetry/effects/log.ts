import * as fs from "node:fs";
import { type Attributes, describeFailure, failureMessage } from "../core/settings.ts";
import { renderRecord } from "../core/log-record.ts";
import { traceParent } from "./telemetry.ts";

/**
 * Tells the user a line, and GROUNDWORK_LOG_FILE, where that is set, the same as JSON with the ids of
 * the trace and the span at work.
 */
export function say(message: string, attributes: Attributes = {}): void {
  console.log(message);
  append("INFO", message, attributes);
}

/** Tells GROUNDWORK_LOG_FILE of a failure; the user hears of it from Pulumi. */
export function logFailure(error: unknown, attributes: Attributes): void {
  const message = failureMessage(error) ?? "It failed for a reason that nobody foresaw.";
  append("ERROR", message, { ...attributes, ...describeFailure(error) });
}

let lost = false;

function append(severity: "INFO" | "ERROR", message: string, attributes: Attributes): void {
  const file = process.env["GROUNDWORK_LOG_FILE"] ?? "";
  if (file === "" || lost) return;
  const parent = traceParent() ?? process.env["TRACEPARENT"];
  try {
    const record = renderRecord(new Date(), severity, message, attributes, parent);
    fs.appendFileSync(file, record, { mode: 0o600 });
  } catch (error) {
    lost = true;
    console.log(`The log ${file} cannot be written: ${(error as Error).message}`);
  }
}

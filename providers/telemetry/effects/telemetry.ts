import { type Attributes, wantsTelemetry } from "../core/settings.ts";

/** What work can say of itself while it is being traced. */
export interface Span {
  /** Adds what became known only now. */
  set(attributes: Attributes): void;
}

/** Something that is added up. */
export interface Count {
  name: string;
  /** UCUM: `By`, `{lookup}`. */
  unit: string;
  value: number;
  attributes?: Attributes;
}

/** Work that is over, such as a step of a script. */
export interface PastSpan {
  name: string;
  /** In milliseconds since 1970. */
  startedAt: number;
  endedAt: number;
  attributes?: Attributes;
}

/** What stands behind the functions of this module once OpenTelemetry is loaded. */
export interface Telemetry {
  inSpan<T>(name: string, attributes: Attributes, work: (span: Span) => Promise<T>): Promise<T>;
  count(count: Count): void;
  recordSpan(span: PastSpan): void;
  /** `TRACEPARENT` of the span at work. */
  traceParent(): string | undefined;
  /** Sends what is waiting; never fails, and gives up after some seconds. */
  flush(): Promise<void>;
}

const silent: Span = { set: () => undefined };
let loading: Promise<Telemetry> | undefined;
let loaded: Telemetry | undefined;

/** OpenTelemetry, loaded the first time that the environment asks for it; `undefined` when it does not. */
async function telemetry(): Promise<Telemetry | undefined> {
  if (!wantsTelemetry(process.env)) return undefined;
  loading ??= import("./open-telemetry.ts").then(({ startTelemetry }) => startTelemetry());
  return (loaded = await loading);
}

/**
 * Does the work within a span, and times it, which is a child of the one around it; the outermost is a child of
 * `TRACEPARENT`. What the work throws marks the span as failed and is thrown on. Without telemetry
 * this is a function call.
 */
export async function inSpan<T>(
  name: string,
  attributes: Attributes,
  work: (span: Span) => Promise<T>,
): Promise<T> {
  const active = await telemetry();
  return active === undefined ? work(silent) : active.inSpan(name, attributes, work);
}

/** Adds something up, if telemetry is on. Belongs within `inSpan`. */
export function count(what: Count): void {
  loaded?.count(what);
}

/** Tells of work that is over, if telemetry is on, as a child of the span around it. Belongs within `inSpan`. */
export function recordSpan(span: PastSpan): void {
  loaded?.recordSpan(span);
}

/** `TRACEPARENT` for what the work at hand starts elsewhere. */
export function traceParent(): string | undefined {
  return loaded?.traceParent();
}

/** Sends what is waiting, before the process may be ended. */
export async function flushTelemetry(): Promise<void> {
  await loaded?.flush();
}

/** The kinds of telemetry that are sent. */
export type Signal = "traces" | "metrics";

/**
 * Whether the environment asks for a kind of telemetry, by OpenTelemetry's own variables: there is an
 * endpoint for it, OTEL_SDK_DISABLED is not true, and OTEL_TRACES_EXPORTER or OTEL_METRICS_EXPORTER
 * is not `none`.
 */
export function wantsSignal(env: Record<string, string | undefined>, signal: Signal): boolean {
  if (env["OTEL_SDK_DISABLED"]?.toLowerCase() === "true") return false;
  const name = signal.toUpperCase();
  if (env[`OTEL_${name}_EXPORTER`] === "none") return false;
  const endpoint =
    env[`OTEL_EXPORTER_OTLP_${name}_ENDPOINT`] ?? env["OTEL_EXPORTER_OTLP_ENDPOINT"] ?? "";
  return endpoint !== "";
}

/** Whether the environment asks for any telemetry. */
export function wantsTelemetry(env: Record<string, string | undefined>): boolean {
  return wantsSignal(env, "traces") || wantsSignal(env, "metrics");
}

/** What a span or a measurement says about itself. */
export type Attributes = Record<string, string | number | boolean>;

/** The attribute of what failed: the stable code of our own errors, or the error's name. */
export function describeFailure(error: unknown): Attributes {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  const kind = typeof code === "string" ? code : typeof name === "string" ? name : "unknown";
  return { "error.type": kind };
}

/** What a span shows of a failure: our own errors hold no secret, others may. */
export function failureMessage(error: unknown): string | undefined {
  return error instanceof Error && error.name === "GroundworkError" ? error.message : undefined;
}

import type { Attributes } from "./settings.ts";

/**
 * A line of JSON, in the fields of OpenTelemetry's log data model.
 * @param traceParent W3C `traceparent` of the span at work, if there is one
 */
export function renderRecord(
  time: Date,
  severity: "INFO" | "ERROR",
  message: string,
  attributes: Attributes,
  traceParent: string | undefined,
): string {
  const [, traceId, spanId] =
    /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/.exec(traceParent ?? "") ?? [];
  const record = {
    timestamp: time.toISOString(),
    severity,
    body: message,
    ...(traceId !== undefined && { trace_id: traceId, span_id: spanId }),
    ...(Object.keys(attributes).length > 0 && { attributes }),
  };
  return `${JSON.stringify(record)}\n`;
}

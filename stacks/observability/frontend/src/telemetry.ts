import {
  type Span,
  SpanKind,
  SpanStatusCode,
  context,
  propagation,
  trace,
} from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

const tracer = trace.getTracer("task-manager");

/** Sends spans to the collector, through the server that the page came from. */
export function startTelemetry(): void {
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ "service.name": "frontend" }),
    spanProcessors: [
      new BatchSpanProcessor(new OTLPTraceExporter({ url: "/otlp/v1/traces" }), {
        scheduledDelayMillis: 1000,
      }),
    ],
  });
  trace.setGlobalTracerProvider(provider);
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") void provider.forceFlush();
  });
}

/** What a request came to, for its span. */
export interface Outcome {
  readonly status: number;
}

/**
 * Runs a request in a span of its own. `send` gets the headers by which the server continues the trace.
 *
 * @param route the path with names in place of ids, such as `/api/tasks/{id}`
 */
export async function traced<T extends Outcome>(
  method: string,
  route: string,
  send: (headers: Record<string, string>) => Promise<T>,
): Promise<T> {
  const span = tracer.startSpan(`${method} ${route}`, {
    kind: SpanKind.CLIENT,
    attributes: { "http.request.method": method, "url.template": route },
  });
  const headers: Record<string, string> = {};
  propagation.inject(trace.setSpan(context.active(), span), headers);
  try {
    const outcome = await send(headers);
    span.setAttribute("http.response.status_code", outcome.status);
    if (outcome.status >= 400) fail(span, String(outcome.status));
    return outcome;
  } catch (error) {
    fail(span, error instanceof Error ? error.name : "unknown");
    throw error;
  } finally {
    span.end();
  }
}

function fail(span: Span, type: string): void {
  span.setAttribute("error.type", type);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

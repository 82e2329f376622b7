import { randomUUID } from "node:crypto";
import {
  type Context,
  type Counter,
  ROOT_CONTEXT,
  type Span as OtelSpan,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { detectResourcesSync, envDetectorSync, Resource } from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { describeFailure, failureMessage, wantsSignal } from "../core/settings.ts";
import type { Count, PastSpan, Telemetry } from "./telemetry.ts";

/** Seconds: from a look at a host to a large image over a slow link. OpenTelemetry's own suit milliseconds. */
const durationBounds = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600];

/** How long the end of a call waits for what it has to tell. */
const flushMilliseconds = 1000;

/**
 * Starts OpenTelemetry with OTLP over HTTP. Where to, with which headers and under which service name
 * is read from the standard variables.
 *
 * Nothing is registered globally: Pulumi's own SDK, in the same process, has telemetry of its own.
 */
export function startTelemetry(env: NodeJS.ProcessEnv = process.env): Telemetry {
  const resource = new Resource({
    "service.name": env["OTEL_SERVICE_NAME"] ?? "groundwork",
    // Runs count from nothing each, which a back end can only tell apart by this.
    "service.instance.id": randomUUID(),
    "process.pid": process.pid,
  }).merge(detectResourcesSync({ detectors: [envDetectorSync] }));
  const tracers = new BasicTracerProvider({
    resource,
    spanProcessors: wantsSignal(env, "traces")
      ? [new BatchSpanProcessor(new OTLPTraceExporter())]
      : [],
  });
  const meters = new MeterProvider({
    resource,
    readers: wantsSignal(env, "metrics")
      ? [new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter() })]
      : [],
  });
  const contexts = new AsyncLocalStorageContextManager().enable();
  const propagator = new W3CTraceContextPropagator();
  const getter = {
    get: (carrier: NodeJS.ProcessEnv, key: string) => carrier[key.toUpperCase()],
    keys: () => ["traceparent", "tracestate"],
  };
  const outermost = propagator.extract(ROOT_CONTEXT, env, getter);
  const tracer = tracers.getTracer("groundwork");
  const meter = meters.getMeter("groundwork");
  const around = (): Context => {
    const active = contexts.active();
    return active === ROOT_CONTEXT ? outermost : active;
  };

  const durations = meter.createHistogram("groundwork.step.duration", {
    unit: "s",
    advice: { explicitBucketBoundaries: [...durationBounds] },
  });
  const counters = new Map<string, Counter>();

  return {
    async inSpan(name, attributes, work) {
      const parent = around();
      const started = performance.now();
      let outcome = "done";
      const span: OtelSpan = tracer.startSpan(name, { attributes }, parent);
      try {
        return await contexts.with(trace.setSpan(parent, span), () =>
          work({ set: (more) => span.setAttributes(more) }),
        );
      } catch (error) {
        outcome = "failed";
        span.setAttributes(describeFailure(error));
        const message = failureMessage(error);
        span.setStatus({ code: SpanStatusCode.ERROR, ...(message !== undefined && { message }) });
        throw error;
      } finally {
        span.end();
        const seconds = (performance.now() - started) / 1000;
        durations.record(seconds, { "groundwork.step": name, "groundwork.outcome": outcome });
      }
    },
    count({ name, unit, value, attributes }: Count) {
      const counter = counters.get(name) ?? meter.createCounter(name, { unit });
      counters.set(name, counter);
      counter.add(value, attributes);
    },
    recordSpan({ name, startedAt, endedAt, attributes = {} }: PastSpan) {
      tracer.startSpan(name, { attributes, startTime: startedAt }, around()).end(endedAt);
      const seconds = (endedAt - startedAt) / 1000;
      durations.record(seconds, { "groundwork.step": name, "groundwork.outcome": "done" });
    },
    traceParent() {
      const carrier: Record<string, string> = {};
      propagator.inject(around(), carrier, {
        set: (into: Record<string, string>, key, value) => (into[key] = value),
      });
      return carrier["traceparent"];
    },
    async flush() {
      const sent = Promise.allSettled([tracers.forceFlush(), meters.forceFlush()]);
      const late = new Promise((resolve) => setTimeout(resolve, flushMilliseconds).unref());
      await Promise.race([sent, late]);
    },
  };
}

import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { stringify } from "yaml";
import { toolPaths } from "../../scripts/lib/tools-paths.ts";
import { endTree, freePort, makeScratch, tied, undoAtExit, waitUntilReady } from "./scratch.ts";

export interface CollectedSpan {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId: string;
}

/** An OpenTelemetry Collector on 127.0.0.1 that writes spans into a file and offers metrics to Prometheus. */
export interface Collector {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly endpoint: string;
  /** The spans that have arrived. */
  spans(): CollectedSpan[];
  /** All that has arrived, as it was written. */
  files(): string;
  /** What Prometheus would scrape. */
  metrics(): Promise<string>;
  stop(): void;
}

/** Starts a collector. Call `requireNeeds(this, ["collector"])` before. */
export async function startCollector(): Promise<Collector> {
  const scratch = makeScratch("collector");
  const [port, metricsPort] = [await freePort(), await freePort()];
  const traces = path.join(scratch.folder, "traces.json");
  const pipeline = (exporter: string): object => ({
    receivers: ["otlp"],
    processors: ["memory_limiter"],
    exporters: [exporter],
  });
  const config = path.join(scratch.folder, "collector.yaml");
  fs.writeFileSync(
    config,
    stringify({
      receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${String(port)}` } } } },
      processors: { memory_limiter: { check_interval: "1s", limit_mib: 256 } },
      exporters: {
        file: { path: traces, flush_interval: "100ms" },
        prometheus: { endpoint: `127.0.0.1:${String(metricsPort)}` },
      },
      service: {
        telemetry: { metrics: { level: "none" } },
        pipelines: { traces: pipeline("file"), metrics: pipeline("prometheus") },
      },
    }),
  );
  const log = path.join(scratch.folder, "collector.log");
  const output = fs.openSync(log, "w");
  const [file, args] = tied(toolPaths(process.env).collector, ["--config", config]);
  const server = spawn(file, args, { stdio: ["ignore", output, output] });
  fs.closeSync(output);
  server.unref();
  const stop = undoAtExit(() => {
    endTree(server.pid);
    scratch.remove();
  });
  const endpoint = `http://127.0.0.1:${String(port)}`;
  const metrics = async (): Promise<string> =>
    (await fetch(`http://127.0.0.1:${String(metricsPort)}/metrics`)).text();
  try {
    await waitUntilReady(
      "the collector",
      async () => {
        const [answer] = await Promise.all([fetch(`${endpoint}/v1/traces`), metrics()]);
        return answer.status === 405; // it wants a POST
      },
      () => fs.readFileSync(log, "utf8"),
    );
  } catch (error) {
    stop();
    throw error;
  }
  const files = (): string => (fs.existsSync(traces) ? fs.readFileSync(traces, "utf8") : "");
  return { endpoint, files, metrics, stop, spans: () => parseSpans(files()) };
}

function parseSpans(lines: string): CollectedSpan[] {
  return lines
    .split("\n")
    .filter((line) => line !== "")
    .map(
      (line) =>
        JSON.parse(line) as { resourceSpans: { scopeSpans: { spans: CollectedSpan[] }[] }[] },
    )
    .flatMap(({ resourceSpans }) => resourceSpans)
    .flatMap(({ scopeSpans }) => scopeSpans)
    .flatMap(({ spans }) => spans);
}

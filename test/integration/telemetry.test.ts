import * as assert from "node:assert/strict";
import * as http from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import { execa } from "execa";

const require = createRequire(import.meta.url);
const checkout = path.resolve(import.meta.dirname, "../..");

interface SeenSpan {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId: string;
  failed: boolean;
  attributes: Record<string, string>;
}

interface Received {
  spans: SeenSpan[];
  metrics: string[];
}

/** The messages of OpenTelemetry's protocol, as its own package defines them. */
const { opentelemetry } = require("@opentelemetry/otlp-transformer/build/src/generated/root") as {
  opentelemetry: { proto: { collector: Record<string, { v1: Record<string, Message> }> } };
};
interface Message {
  decode(bytes: Buffer): unknown;
  toObject(message: unknown, options: object): unknown;
}

function decode(bytes: Buffer, kind: "trace" | "metrics", name: string): unknown {
  const message = opentelemetry.proto.collector[kind]?.v1[name];
  assert.ok(message !== undefined);
  return message.toObject(message.decode(bytes), { enums: String });
}

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("hex");

/** Takes what OTLP exporters send over HTTP. */
async function startReceiver(): Promise<Received & { endpoint: string; stop: () => void }> {
  const received: Received = { spans: [], metrics: [] };
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const bytes = Buffer.concat(chunks);
      if (request.url === "/v1/traces") received.spans.push(...readSpans(bytes));
      if (request.url === "/v1/metrics") received.metrics.push(...readMetrics(bytes));
      response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    ...received,
    endpoint: `http://127.0.0.1:${String(port)}`,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function readSpans(bytes: Buffer): SeenSpan[] {
  const { resourceSpans } = decode(bytes, "trace", "ExportTraceServiceRequest") as {
    resourceSpans: { scopeSpans: { spans: RawSpan[] }[] }[];
  };
  return resourceSpans
    .flatMap(({ scopeSpans }) => scopeSpans)
    .flatMap(({ spans }) => spans)
    .map((span) => ({
      name: span.name,
      traceId: hex(span.traceId),
      spanId: hex(span.spanId),
      parentSpanId: hex(span.parentSpanId),
      failed: span.status?.code === "STATUS_CODE_ERROR",
      attributes: Object.fromEntries(
        (span.attributes ?? []).map(({ key, value }) => [key, value.stringValue ?? ""]),
      ),
    }));
}

interface RawSpan {
  name: string;
  traceId: Uint8Array;
  spanId: Uint8Array;
  parentSpanId?: Uint8Array;
  status?: { code?: string };
  attributes?: { key: string; value: { stringValue?: string } }[];
}

function readMetrics(bytes: Buffer): string[] {
  const { resourceMetrics } = decode(bytes, "metrics", "ExportMetricsServiceRequest") as {
    resourceMetrics: { scopeMetrics: { metrics: { name: string }[] }[] }[];
  };
  return resourceMetrics
    .flatMap(({ scopeMetrics }) => scopeMetrics)
    .flatMap(({ metrics }) => metrics.map(({ name }) => name));
}

/** Runs TypeScript in a process of its own and returns what it printed. */
async function run(source: string, env: Record<string, string>): Promise<string> {
  const { stdout } = await execa(
    process.execPath,
    ["--import=tsx", "--input-type=module", "--eval", source],
    { cwd: checkout, env },
  );
  return stdout;
}

const module = JSON.stringify(path.join(checkout, "providers/telemetry/effects/telemetry.ts"));
const runtime = JSON.stringify(path.join(checkout, "providers/runtime.ts"));
const loadedPackages = `
  const { default: Module } = await import("node:module");
  const loaded = Object.keys(Module._cache).filter((file) => file.includes("@opentelemetry"));`;

describe("telemetry", function () {
  this.timeout(120_000);
  let receiver: Awaited<ReturnType<typeof startReceiver>>;
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  const parentId = "b7ad6b7169203331";

  before(async () => {
    receiver = await startReceiver();
  });

  after(() => {
    receiver.stop();
  });

  afterEach(() => {
    receiver.spans.length = 0;
    receiver.metrics.length = 0;
  });

  it("loads nothing and sends nothing while it is off", async () => {
    const printed = await run(
      `const { inSpan, count, traceParent, flushTelemetry } = await import(${module});
       const result = await inSpan("work", {}, async (span) => (span.set({ a: 1 }), 42));
       count({ name: "things", unit: "{thing}", value: 1 });
       await flushTelemetry();
       ${loadedPackages}
       console.log(JSON.stringify({ result, parent: traceParent() ?? null, loaded }));`,
      { TRACEPARENT: `00-${traceId}-${parentId}-01`, OTEL_EXPORTER_OTLP_ENDPOINT: "" },
    );
    assert.deepEqual(JSON.parse(printed), { result: 42, parent: null, loaded: [] });
    assert.deepEqual(receiver.spans, []);
  });

  it("sends spans below TRACEPARENT, each below the one around it, and passes it on", async () => {
    const printed = await run(
      `const { inSpan, count, traceParent, flushTelemetry } = await import(${module});
       await inSpan("outer", { where: "here" }, async () => {
         await Promise.all([
           inSpan("one", {}, async () => console.log(traceParent())),
           inSpan("two", {}, async () => { throw new TypeError("s3cret"); }).catch(() => 0),
         ]);
         count({ name: "groundwork.things", unit: "{thing}", value: 1 });
       });
       await flushTelemetry();
       process.exit(0);`,
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
        TRACEPARENT: `00-${traceId}-${parentId}-01`,
      },
    );
    const span = (name: string): SeenSpan => {
      const found = receiver.spans.find((each) => each.name === name);
      assert.ok(found !== undefined, name);
      return found;
    };
    assert.ok(receiver.spans.every((each) => each.traceId === traceId));
    assert.equal(span("outer").parentSpanId, parentId);
    assert.equal(span("outer").attributes["where"], "here");
    assert.equal(span("one").parentSpanId, span("outer").spanId);
    assert.equal(span("two").parentSpanId, span("outer").spanId);
    assert.equal(span("two").failed, true);
    assert.equal(span("two").attributes["error.type"], "TypeError");
    assert.equal(span("one").failed, false);
    assert.ok(!JSON.stringify(receiver.spans).includes("s3cret"));
    assert.equal(printed, `00-${traceId}-${span("one").spanId}-01`);
    assert.deepEqual(new Set(receiver.metrics), new Set(["groundwork.things", stepDuration]));
  });

  const stepDuration = "groundwork.step.duration";

  it("makes a call of a provider a span, with its plan and its failure", async () => {
    await run(
      `const { runHandler } = await import(${runtime});
       await runHandler("image-volume", "configure", [{ config: { get: () => undefined } }]);
       await runHandler("image-volume", "check", [{}, {
         hypervisorUri: "qemu+ssh://root@127.0.0.1:1/system", volumeGroup: "lab", volumeName: "vm1",
         sizeGiB: 1, owner: "project/stack",
       }]);
       process.exit(0);`,
      { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint },
    );
    const [check, plan] = ["image-volume check", "plan"].map((name) =>
      receiver.spans.find((each) => each.name === name),
    );
    assert.ok(check !== undefined && plan !== undefined);
    assert.equal(check.failed, false); // a preview goes on without knowing the host
    assert.equal(plan.failed, true);
    assert.equal(plan.attributes["error.type"], "host-unreachable");
    assert.equal(plan.attributes["groundwork.volume"], "lab/vm1");
    assert.equal(plan.parentSpanId, check.spanId);
  });

  it("delays nobody for long when the collector is gone", async () => {
    const printed = await run(
      `const { inSpan, flushTelemetry } = await import(${module});
       await inSpan("work", {}, async () => 0);
       const before = performance.now();
       await flushTelemetry();
       console.log(performance.now() - before);
       process.exit(0);`,
      { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" },
    );
    assert.ok(Number(printed) < 3000, printed);
  });
});

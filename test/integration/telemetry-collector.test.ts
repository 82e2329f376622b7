import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import { type Collector, startCollector } from "../support/collector.ts";
import { ImageVolumeLab, isFetch, type TestImage } from "../support/image-volume-lab.ts";
import { requireNeeds } from "../support/needs.ts";
import { PulumiProject } from "../support/pulumi-project.ts";
import { waitUntilReady } from "../support/scratch.ts";
import { until } from "../support/until.ts";

describe("telemetry, at a real collector", function () {
  this.timeout(300_000);
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const parentId = "00f067aa0ba902b7";
  let collector: Collector;
  let lab: ImageVolumeLab;
  let project: PulumiProject;
  let image: TestImage;
  let log: string;
  let cleanUp = (): void => undefined;

  before(async function () {
    requireNeeds(this, [
      ...(["root", "loop", "lvm", "qemu", "minio", "curl", "pulumi", "collector"] as const),
    ]);
    collector = await startCollector();
    cleanUp = () => {
      collector.stop();
    };
    lab = await ImageVolumeLab.make({ sizeMiB: 512 });
    cleanUp = () => {
      lab.remove();
      collector.stop();
    };
    log = `${lab.group.folder}/run.jsonl`;
    project = new PulumiProject({
      ...lab.variables(),
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
      TRACEPARENT: `00-${traceId}-${parentId}-01`,
      GROUNDWORK_LOG_FILE: log,
    });
    cleanUp = () => {
      project.remove();
      lab.remove();
      collector.stop();
    };
    image = await lab.image({ dataMiB: 8 });
    project.program(
      { ImageVolume: "providers/image-volume/resource.ts" },
      `new ImageVolume("root", ${JSON.stringify(lab.args(image))});`,
    );
    await project.succeed("stack", "init", "test");
    // Slow enough for a word of progress.
    lab.front.fault = (request) =>
      isFetch(image, request) ? { bytesPerSecond: 2 ** 21 } : undefined;
    await project.succeed("up", "--yes", "--skip-preview");
  });

  after(() => {
    cleanUp();
  });

  it("arrives as one trace of the whole run, each step below what began it", async () => {
    await until(() => collector.spans().some(({ name }) => name === "image-volume create"));
    const spans = collector.spans();
    assert.deepEqual([...new Set(spans.map((span) => span.traceId))], [traceId]);
    const byId = new Map(spans.map((span) => [span.spanId, span]));
    const ancestors = (name: string): string[] => {
      const names: string[] = [];
      let span = spans.find((each) => each.name === name);
      assert.ok(
        span !== undefined,
        `${name} is not among ${spans.map((each) => each.name).join()}`,
      );
      while (span.parentSpanId !== parentId) {
        span = byId.get(span.parentSpanId);
        assert.ok(span !== undefined, `${name}: a parent did not arrive`);
        names.push(span.name);
      }
      return names;
    };
    assert.deepEqual(ancestors("image-volume check"), []);
    assert.deepEqual(ancestors("image-volume create"), []);
    assert.ok(ancestors("plan").length > 0);
    assert.deepEqual(ancestors("apply"), ["image-volume create"]);
    for (const step of ["fetch", "createVolume", "populateVolume"])
      assert.ok(ancestors(step).includes("apply"), step);
  });

  it("has metrics that Prometheus reads: lookups of the cache, bytes, durations", async () => {
    await waitUntilReady(
      "the metrics",
      async () => (await collector.metrics()).includes("groundwork_cache_lookups"),
      () => "",
    );
    const metrics = await collector.metrics();
    assert.match(
      metrics,
      /groundwork_cache_lookups\S*\{[^}]*groundwork_cache_result="miss"[^}]*\} 1\b/,
    );
    const fetched = /^groundwork_fetched_bytes_total\{[^}]*\} (\S+)$/m.exec(metrics)?.[1];
    assert.equal(Number(fetched), image.bytes);
    assert.match(
      metrics,
      /groundwork_step_duration_seconds_bucket\{[^}]*groundwork_step="populateVolume"[^}]*le="0.25"\}/,
    );
  });

  it("and the log in JSON names the spans that are there", () => {
    const ids = new Set(collector.spans().map(({ spanId }) => spanId));
    const lines = fs
      .readFileSync(log, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { trace_id?: string; span_id?: string });
    const traced = lines.filter(({ trace_id }) => trace_id === traceId);
    assert.ok(traced.length > 0);
    assert.ok(traced.some(({ span_id }) => ids.has(span_id ?? "")));
  });

  it("holds none of the secrets that the run used", async () => {
    const { accessKey, secretKey } = lab.minio.credentials;
    const all = [collector.files(), await collector.metrics(), fs.readFileSync(log, "utf8")].join();
    for (const secret of [accessKey, secretKey, "X-Amz-Signature"])
      assert.ok(!all.includes(secret));
  });
});

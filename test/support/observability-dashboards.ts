import * as assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { execa } from "execa";
import { parse } from "yaml";
import type { ObservabilityLab } from "./observability-lab.ts";
import { eventually } from "./until.ts";

const checkout = path.resolve(import.meta.dirname, "../..");
const project = path.join(checkout, "stacks/observability");

/** A query of a dashboard, and where it stands. */
interface Target {
  readonly where: string;
  readonly source: string;
  readonly expr: string;
}

function readTargets(): Target[] {
  const folder = path.join(project, "grafana/dashboards");
  return fs.readdirSync(folder).flatMap((file) => {
    const { panels } = JSON.parse(fs.readFileSync(path.join(folder, file), "utf8")) as {
      panels: { title: string; targets: { datasource: { uid: string }; expr?: string }[] }[];
    };
    return panels.flatMap(({ title, targets }) =>
      targets.map(({ datasource, expr }) => ({
        where: `${file}: ${title}`,
        source: datasource.uid,
        // As Grafana fills them in.
        expr: (expr ?? "").replaceAll("$__rate_interval", "5m").replaceAll("$__auto", "5m"),
      })),
    );
  });
}

interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
}

function readRules(file: string): Rule[] {
  const text = fs.readFileSync(path.join(project, "prometheus/rules", file), "utf8");
  const { groups } = parse(text) as { groups: { rules: Rule[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

/** An alert's expression with every comparison as a value, 0 or 1: what it compares must be there either way. */
function asValues(expr: string): string {
  return expr.replaceAll(/(==|!=|>=|<=|>|<) (?=[\d.])/g, "$1 bool ");
}

/** Groundwork's own telemetry, sent through the page's server as `make up` would. */
async function provision(lab: ObservabilityLab): Promise<void> {
  const module = (file: string): string => JSON.stringify(path.join(checkout, "providers", file));
  await execa(
    process.execPath,
    [
      ...["--import=tsx", "--input-type=module", "--eval"],
      `const { inSpan, count, flushTelemetry } = await import(${module("telemetry/effects/telemetry.ts")});
       const { runHandler } = await import(${module("runtime.ts")});
       await inSpan("fetch", {}, async () => {
         for (const result of ["miss", "hit"])
           count({ name: "groundwork.cache.lookups", unit: "{lookup}", value: 1,
             attributes: { "groundwork.cache.result": result } });
         count({ name: "groundwork.fetched", unit: "By", value: 4096 });
       });
       await runHandler("image-volume", "configure", [{ config: { get: () => undefined } }]);
       await runHandler("image-volume", "create", [{
         hypervisorUri: "qemu+ssh://root@127.0.0.1:1/system", volumeGroup: "lab", volumeName: "vm1",
         sizeGiB: 1, owner: "project/stack",
       }]).catch(() => 0);
       await flushTelemetry();
       process.exit(0);`,
    ],
    {
      cwd: checkout,
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: `http://${lab.engine.address}/otlp` },
    },
  );
}

/** What a person at the page would do, and a request that fails. */
async function useLab(lab: ObservabilityLab): Promise<string> {
  const trace = randomBytes(16).toString("hex");
  const task = (await lab.page("POST", "/api/tasks", {
    body: { title: "For the dashboards" },
    trace,
  })) as { id: number };
  const route = `/api/tasks/${String(task.id)}`;
  await lab.page("PATCH", route, { body: { completed: true }, trace });
  await lab.page("GET", "/api/tasks?status=open", { trace });
  await lab.page("DELETE", route, { trace });
  await sendBrowserSpan(lab, trace);
  return trace;
}

/** A request fails for want of a table, which is back when this returns. */
async function failOnce(lab: ObservabilityLab): Promise<void> {
  const rename = (from: string, to: string): Promise<string> =>
    lab.engine.runDocker([
      ...["exec", "lab-backend-1", "python3", "-c"],
      `import sqlite3; sqlite3.connect("/data/tasks.db").execute("ALTER TABLE ${from} RENAME TO ${to}")`,
    ]);
  await rename("tasks", "gone");
  await assert.rejects(lab.page("GET", "/api/tasks"), /500/);
  await rename("gone", "tasks");
}

/** The span of the browser around the requests, which failed on its own account. */
async function sendBrowserSpan(lab: ObservabilityLab, traceId: string): Promise<void> {
  const now = BigInt(Date.now()) * 1_000_000n;
  const span = {
    traceId,
    spanId: "00f067aa0ba902b7",
    name: "POST /api/tasks",
    kind: 3,
    startTimeUnixNano: String(now - 50_000_000n),
    endTimeUnixNano: String(now),
    attributes: [],
    status: { code: 2 },
  };
  await lab.page("POST", "/otlp/v1/traces", {
    body: {
      resourceSpans: [
        {
          resource: {
            attributes: [{ key: "service.name", value: { stringValue: "frontend" } }],
          },
          scopeSpans: [{ scope: { name: "task-manager" }, spans: [span] }],
        },
      ],
    },
  });
}

/** Executes every query that people and alerts ask, on the running Prometheus and Loki. */
export function describeDashboards(lab: () => ObservabilityLab): void {
  describe("under load", () => {
    let trace: string;

    before(async function () {
      this.timeout(180_000);
      await provision(lab());
      await failOnce(lab());
      trace = await useLab(lab());
      // Rates need two samples of each series.
      await new Promise((resolve) => setTimeout(resolve, 12_000));
      await useLab(lab());
      await sendBrowserSpan(lab(), trace);
    });

    it("has an answer to every query of every dashboard", async () => {
      const targets = readTargets();
      const asked = targets.filter(({ source }) => ["prometheus", "loki"].includes(source));
      assert.ok(asked.length > 50);
      await eventually("all queries", async () => {
        const silent: string[] = [];
        for (const { where, source, expr } of asked) {
          const answers =
            source === "loki" ? await lokiAnswers(lab(), expr) : await lab().prometheus(expr);
          if (answers.length === 0) silent.push(`${where}: ${expr}`);
        }
        assert.deepEqual(silent, []);
      });
      console.log(`        ${String(asked.length)} queries`);
    });

    it("evaluates every rule without error, and can tell each alert's values", async () => {
      const { data } = (await lab().inside("prometheus", 9090, "/api/v1/rules")) as {
        data: { groups: { rules: { name: string; health: string; lastError?: string }[] }[] };
      };
      const rules = data.groups.flatMap((group) => group.rules);
      const written = [...readRules("alerts.yml"), ...readRules("service-levels.yml")];
      assert.equal(rules.length, written.length);
      for (const { name, health, lastError } of rules)
        assert.equal(health, "ok", `${name}: ${lastError ?? ""}`);
      for (const { alert, record, expr } of written) {
        const query = alert === undefined ? (record ?? "") : asValues(expr);
        await eventually(`${alert ?? record ?? ""}: ${query}`, async () => {
          assert.notEqual((await lab().prometheus(query)).length, 0);
        });
      }
    });

    it("shows who calls whom: the browser the backend, the backend its database", async () => {
      const edges = await lab().prometheus("traces_service_graph_request_total");
      const seen = edges.map(({ metric }) => `${metric["client"] ?? ""} ${metric["server"] ?? ""}`);
      for (const edge of ["frontend backend", "backend /data/tasks.db"])
        assert.ok(seen.includes(edge), `${edge} is not among ${seen.join(", ")}`);
    });

    it("leads from a trace to its records by the link that Grafana is given", async () => {
      const { datasources } = parse(
        fs.readFileSync(
          path.join(project, "grafana/provisioning/datasources/groundwork.yaml"),
          "utf8",
        ),
      ) as { datasources: { uid: string; jsonData: { tracesToLogsV2?: { query: string } } }[] };
      const query = datasources.find(({ uid }) => uid === "tempo")?.jsonData.tracesToLogsV2?.query;
      assert.ok(query !== undefined);
      const filled = query
        .replace('$${__span.tags["service.name"]}', "backend")
        .replace("$${__trace.traceId}", trace);
      const records = await lab().logs(filled);
      assert.ok(records.length >= 3);
      assert.ok(records.every(({ fields }) => fields["trace_id"] === trace));
    });

    it("has the failed request as an error of the page's server too", async () => {
      const records = await lab().logs('{service_name="frontend"} | detected_level="error"');
      const seen = records.map(({ fields }) => fields["http_response_status_code"]);
      assert.ok(seen.includes("500"), `only ${seen.join(", ")}`);
    });

    it("tells of each service what its container uses, and of nothing else", async () => {
      const figures = async (query: string) =>
        Object.fromEntries(
          (await lab().prometheus(query)).map(({ metric, value }) => [
            metric["service"] ?? "",
            value,
          ]),
        );
      const services = Object.keys(await lab().containers()).sort();
      const limits = await figures("max by (service) (container_spec_memory_limit_bytes)");
      assert.deepEqual(Object.keys(limits).sort(), services);
      assert.equal(limits["backend"], 320 * 1024 * 1024);
      const memory = await figures("max by (service) (container_memory_working_set_bytes)");
      const seconds = await figures("max by (service) (container_cpu_usage_seconds_total)");
      for (const service of services) {
        const used = memory[service] ?? 0;
        assert.ok(used > 1e6 && used <= (limits[service] ?? 0), `${service}: ${String(used)} B`);
        assert.ok((seconds[service] ?? 0) > 0, service);
      }
    });

    it("has spans of Groundwork's own provisioning", async () => {
      const spans = await lab().prometheus(
        'traces_span_metrics_calls_total{service_name="groundwork"}',
      );
      assert.ok(spans.some(({ metric }) => metric["span_name"] === "fetch"));
    });
  });
}

/** Series of a metric query, or records of a log query. */
async function lokiAnswers(lab: ObservabilityLab, expr: string): Promise<unknown[]> {
  const { data } = (await lab.inside("loki", 3100, "/loki/api/v1/query_range", {
    query: expr,
    since: "30m",
    step: "60s",
  })) as { data: { result: unknown[] } };
  return data.result;
}

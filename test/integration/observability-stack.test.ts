import * as assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describeDashboards } from "../support/observability-dashboards.ts";
import { requireNeeds } from "../support/needs.ts";
import { ObservabilityLab } from "../support/observability-lab.ts";
import { eventually } from "../support/until.ts";

const services = [
  ...["alertmanager", "backend", "cadvisor", "frontend", "loki"],
  ...["node-exporter", "otel-collector", "prometheus", "tempo"],
];

describe("observability stack", function () {
  this.timeout(180_000);
  let lab: ObservabilityLab;
  let secondsUp = 0;
  let cleanUp = (): void => undefined;

  before(async function () {
    this.timeout(600_000);
    requireNeeds(this, ObservabilityLab.needs);
    lab = await ObservabilityLab.make();
    cleanUp = () => {
      lab.stop();
    };
    const started = performance.now();
    await lab.up();
    secondsUp = (performance.now() - started) / 1000;
  });

  after(() => {
    cleanUp();
  });

  it("is up and healthy within a minute, from images present", async () => {
    console.log(`      up in ${secondsUp.toFixed(1)} s`);
    assert.ok(secondsUp <= 60, `it took ${secondsUp.toFixed(1)} s`);
    assert.deepEqual(Object.keys(await lab.containers()).sort(), services);
    for (const service of services)
      assert.equal(await lab.inspect(service, "{{.State.Health.Status}}"), "healthy", service);
  });

  it("idles below 2.5 GiB", async () => {
    const lines = await lab.engine.runDocker(["stats", "--no-stream", "--format", "{{.MemUsage}}"]);
    const units: Record<string, number> = { KiB: 1 / 1024, MiB: 1, GiB: 1024 };
    const mebibytes = lines.split("\n").map((line) => {
      const [, amount = "", unit = ""] = /^([\d.]+)(\wiB)/.exec(line) ?? [];
      const factor = units[unit];
      assert.ok(factor !== undefined, line);
      return Number(amount) * factor;
    });
    const total = mebibytes.reduce((sum, each) => sum + each, 0);
    console.log(`      ${total.toFixed(0)} MiB in ${String(mebibytes.length)} containers`);
    assert.equal(mebibytes.length, services.length);
    assert.ok(total < 2560);
  });

  it("touches no container when it is put up again", async () => {
    const before = await lab.containers();
    await lab.up();
    assert.deepEqual(await lab.containers(), before);
  });

  it("publishes the documented ports and no others", async () => {
    const ports = await lab.engine.runDocker(["ps", "--format", "{{.Ports}}"]);
    const published = [...ports.matchAll(/0\.0\.0\.0:(\d+)->/g)].map(([, port]) => Number(port));
    const own = [...ports.matchAll(/127\.\S+:\d+->\S+/g)].map(([port]) => port.replace(",", ""));
    assert.deepEqual(own, ["127.0.0.1:5514->5514/udp"]);
    assert.deepEqual(
      published.sort((a, b) => a - b),
      [80, 5000, 9090], // and 3000 where there is Grafana
    );
  });

  it("runs nothing as root, with no capability, on file systems that are read only", async () => {
    for (const service of services) {
      const said = await lab.inspect(
        service,
        "{{.Config.User}} {{.HostConfig.CapDrop}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.RestartPolicy.Name}}",
      );
      assert.match(said, /^(10001:10001|65534:65534) \[ALL\] true unless-stopped$/, service);
    }
  });

  it("passes its own smoke test", async () => {
    const { exitCode, output } = await lab.run("smoke-test", lab.engine.address);
    assert.equal(exitCode, 0, output);
    assert.match(output, /^ok {6}the trace is an exemplar in Prometheus$/m);
  });

  it("fails its smoke test where nothing answers", async () => {
    const { exitCode, output } = await lab.run(
      ...(["smoke-test", "--http-port", "81", "--patience", "1", lab.engine.address] as const),
    );
    assert.equal(exitCode, 1);
    assert.match(output, /^FAILED {2}the page is served: not within 1 s$/m);
  });

  it("joins what belongs together: one id in Tempo, in Loki and among Prometheus's exemplars", async () => {
    const id = randomBytes(16).toString("hex");
    const task = (await lab.page("POST", "/api/tasks", {
      body: { title: "Join up" },
      trace: id,
    })) as { id: number };
    await lab.page("PATCH", `/api/tasks/${String(task.id)}`, {
      body: { completed: true },
      trace: id,
    });
    await eventually("the records", async () => {
      const records = await lab.logs(`{service_name="backend"} | trace_id="${id}"`);
      assert.deepEqual(records.map(({ body }) => body).sort(), ["task completed", "task created"]);
      for (const { fields } of records) assert.match(fields["span_id"] ?? "", /^[0-9a-f]{16}$/);
    });
    await eventually("the records of the page's server", async () => {
      const records = await lab.logs(`{service_name="frontend"} | trace_id="${id}"`);
      assert.deepEqual(
        records.map(({ body, fields }) => `${body} ${fields["http_response_status_code"] ?? ""}`),
        [`PATCH /api/tasks/${String(task.id)} 200`, "POST /api/tasks 201"],
      );
      for (const { fields } of records) {
        assert.equal(fields["span_id"], "00f067aa0ba902b7");
        assert.ok(Number(fields["http_server_request_duration"]) < 15);
      }
    });
    assert.ok((await lab.compose("logs", "frontend")).includes(id), "the engine keeps a copy");
    await eventually("the trace", async () => {
      const trace = await lab.trace(id);
      for (const part of ['"POST /api/tasks"', '"INSERT /data/tasks.db"', '"backend"'])
        assert.ok(trace.includes(part), `${part} is not in ${trace}`);
    });
    await eventually("the exemplar", async () => {
      const ids = await lab.exemplars("http_server_request_duration_seconds_bucket");
      assert.ok(ids.includes(id));
    });
  });

  it("finds its configuration right, and the rules right by their own tests", async () => {
    const { exitCode, output } = await lab.run("check-config");
    assert.equal(exitCode, 0, output);
    const tested = await lab.engine.runDocker([
      ...["exec", "lab-prometheus-1", "promtool", "test", "rules"],
      "/etc/prometheus/tests/alerts.test.yml",
    ]);
    assert.match(tested, /SUCCESS/);
  });

  it("refuses what is wrong before anything stops, and names each service", async () => {
    const spoilt = [
      [
        "otel-collector",
        "otel-collector/config.yaml",
        "exporters: [prometheus]",
        "exporters: [no]",
      ],
      ["loki", "loki/config.yaml", "schema: v13", "schema: v3"],
      ["tempo", "tempo/config.yaml", "backend: local", "backand: local"],
      ["prometheus", "prometheus/rules/alerts.yml", "expr: up == 0", "expr: up = = 0"],
      ["alertmanager", "alertmanager/alertmanager.yml", "- name: shown", "- name: other"],
      ["dashboard host.json", "grafana/dashboards/host.json", '"panels": [', '"panels": {'],
    ] as const;
    const before = await lab.containers();
    const mend = spoilt.map(([, file, from, to]) => lab.spoil(file, from, to));
    const { exitCode, output } = await lab.run("check-config");
    for (const undo of mend) undo();
    assert.equal(exitCode, 1, output);
    for (const [service] of spoilt)
      assert.match(output, new RegExp(`^FAILED .*${service}`, "m"), output);
    assert.match(output, /^ok {6}frontend$/m);
    assert.deepEqual(await lab.containers(), before);
  });

  it("refuses a Compose project that is none", async () => {
    const mend = lab.spoil("compose.yaml", "restart: unless-stopped", "restarts: always");
    const { exitCode, output } = await lab.run("check-config");
    mend();
    assert.equal(exitCode, 1, output);
    assert.match(output, /^FAILED {2}compose: /m);
  });

  it("brings a service back that was killed", async () => {
    const pid = Number(await lab.inspect("backend", "{{.State.Pid}}"));
    process.kill(pid, "SIGKILL");
    await eventually("the backend", async () => {
      assert.notEqual(Number(await lab.inspect("backend", "{{.State.Pid}}")), pid);
      await lab.page("GET", "/api/tasks");
    });
  });

  it("loses no record while Loki is down, though the collector is killed meanwhile", async () => {
    const ids = Array.from({ length: 20 }, () => randomBytes(16).toString("hex"));
    await lab.compose("stop", "loki");
    for (const trace of ids)
      await lab.page("POST", "/api/tasks", { body: { title: "Loki is down" }, trace });
    await eventually("the queue", async () => {
      const [queue] = await lab.prometheus(
        'sum(otelcol_exporter_queue_size{exporter="otlp_http/loki"})',
      );
      assert.ok((queue?.value ?? 0) > 0);
    });
    const pid = (): Promise<string> => lab.inspect("otel-collector", "{{.State.Pid}}");
    const killed = await pid();
    process.kill(Number(killed), "SIGKILL");
    // Compose takes what is ending for running, and is told of its end while it waits.
    await eventually("another collector", async () => {
      assert.ok(!["0", killed].includes(await pid()));
    });
    await lab.up();
    await eventually("all the records", async () => {
      const records = await lab.logs('{service_name="backend"} |= "task created"');
      const arrived = new Set(records.map(({ fields }) => fields["trace_id"]));
      assert.deepEqual(
        ids.filter((id) => !arrived.has(id)),
        [],
      );
    });
  });

  describeDashboards(() => lab);
});

import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "yaml";
import { imageNames, imageVariable } from "../../../../stacks/observability/images/index.ts";

const project = path.resolve(import.meta.dirname, "../../../../stacks/observability");

interface Service {
  image?: string;
  cgroup_parent?: string;
  mem_limit?: string;
  ports?: string[];
  volumes?: string[];
  build?: { context: string; args?: Record<string, string> };
  healthcheck?: { test: string[] };
  user?: string;
}

interface Compose {
  services: Record<string, Service>;
  volumes?: Record<string, unknown>;
}

const read = (file: string): string => fs.readFileSync(path.join(project, file), "utf8");
const compose = (file: string): Compose =>
  parse(read(file), { merge: true, logLevel: "error" }) as Compose;
const main = compose("compose.yaml");
const services = Object.entries(main.services);

describe("compose.yaml", () => {
  it("fits into 4 GiB with 512 MiB to spare for the machine", () => {
    const limits = services.map(([name, { mem_limit }]) => {
      const mebibytes = /^(\d+)m$/.exec(mem_limit ?? "")?.[1];
      assert.ok(mebibytes !== undefined, `${name} has no limit`);
      return Number(mebibytes);
    });
    const total = limits.reduce((sum, each) => sum + each, 0);
    assert.ok(total <= 4096 - 512, `${String(total)} MiB`);
  });

  it("publishes 80, 3000, 5000 and 9090, and to the machine alone where its engine sends logs", () => {
    const ports = services.flatMap(([, { ports = [] }]) => ports);
    const forEngine = "127.0.0.1:5514:5514/udp";
    assert.ok(ports.includes(forEngine));
    const published = ports
      .filter((port) => port !== forEngine)
      .map((port) => /:(?:\$\{HTTP_PORT:-)?(\d+)\}?:\d+$/.exec(port)?.[1]);
    assert.deepEqual(published.sort(), ["3000", "5000", "80", "9090"]);
  });

  it("has a health check and a user that is not root for every service", () => {
    for (const [name, { healthcheck, user }] of services) {
      assert.ok(healthcheck !== undefined, name);
      assert.match(user ?? "", /^[1-9]\d+:/, name);
    }
  });

  it("puts every service into the control group by which its figures are known", () => {
    for (const [name, { cgroup_parent }] of services)
      assert.equal(cgroup_parent, `lab-${name}.slice`);
  });

  it("gives nobody Docker's socket", () => {
    for (const file of ["compose.yaml", "compose.build.yaml", "compose.pull.yaml"])
      assert.doesNotMatch(read(file), /docker\.sock|^\s*privileged:|\/var\/run/m);
  });

  it("keeps data in named volumes alone", () => {
    const named = new Set(Object.keys(main.volumes ?? {}));
    for (const [name, { volumes = [] }] of services)
      for (const volume of volumes) {
        const [source = "", , mode = ""] = volume.split(":");
        const isNamed = !source.startsWith(".") && !source.startsWith("/");
        assert.ok(isNamed ? named.has(source) : mode.startsWith("ro"), `${name}: ${volume}`);
      }
  });
});

describe("prometheus.yml", () => {
  it("knows the service of a control group, whichever driver Docker uses", () => {
    const { scrape_configs } = parse(read("prometheus/prometheus.yml")) as {
      scrape_configs: { job_name: string; metric_relabel_configs?: { regex: string }[] }[];
    };
    const job = scrape_configs.find(({ job_name }) => job_name === "cadvisor");
    const regex = new RegExp(`^(?:${job?.metric_relabel_configs?.[0]?.regex ?? ""})$`); // as Prometheus anchors it
    const id = "0123456789abcdef".repeat(4);
    for (const [group, service] of [
      [`/lab-loki.slice/${id}`, "loki"],
      [`/system.slice/docker.service/lab-otel-collector.slice/${id}`, "otel-collector"],
      [`/lab.slice/lab-loki.slice/docker-${id}.scope`, "loki"],
      [`/lab.slice/lab-otel.slice/lab-otel-collector.slice/docker-${id}.scope`, "otel-collector"],
      ["/lab.slice/lab-loki.slice", undefined],
      [`/lab.slice/lab-loki.slice/docker-${id}.scope/inner`, undefined],
      [`/system.slice/docker-${id}.scope`, undefined],
      [`/docker/${id}`, undefined],
      ["/", undefined],
    ] as const)
      assert.equal(regex.exec(group)?.[1], service, group);
  });
});

describe("compose.build.yaml", () => {
  it("names every image that can be made by its variable, and pulls none", () => {
    const { services: made } = compose("compose.build.yaml");
    for (const name of imageNames)
      assert.equal(made[name]?.image, `\${${imageVariable(name)}:?}`, name);
    assert.deepEqual(Object.keys(made).sort(), Object.keys(main.services).sort());
  });
});

describe("compose.pull.yaml", () => {
  const { services: pulled } = compose("compose.pull.yaml");
  const digest = /@sha256:[0-9a-f]{64}$/;

  it("has every service, each by digest or built on images that it names by digest", () => {
    assert.deepEqual(Object.keys(pulled).sort(), Object.keys(main.services).sort());
    for (const [name, { image = "", build }] of Object.entries(pulled)) {
      const images = build === undefined ? [image] : Object.entries(build.args ?? {});
      assert.ok(images.length > 0, name);
      for (const each of images)
        if (typeof each === "string") assert.match(each, digest, name);
        else if (each[0] !== "DATA") assert.match(each[1], digest, `${name}: ${each[0]}`);
    }
  });

  it("names every image that is built on: Dockerfiles name none", () => {
    for (const [name, { build }] of Object.entries(pulled)) {
      if (build === undefined) continue;
      const text = read(path.join(build.context, "Dockerfile"));
      const [head = "", ...stages] = text.split(/^FROM /m);
      for (const stage of stages) {
        const variable = /^\$\{(\w+)\}/.exec(stage)?.[1] ?? stage;
        assert.match(head, new RegExp(`^ARG ${variable}$`, "m"), name);
        assert.ok(build.args?.[variable] !== undefined, `${name}: ${variable}`);
      }
    }
  });

  it("pins the release of Grafana by whose schema dashboards are checked", () => {
    const { devDependencies } = JSON.parse(
      fs.readFileSync(path.join(project, "../../package.json"), "utf8"),
    ) as { devDependencies: Record<string, string> };
    const schema = devDependencies["@grafana/schema"] ?? "";
    assert.ok(pulled["grafana"]?.image?.startsWith(`grafana/grafana:${schema}@`), schema);
  });
});

describe("provisioning of Grafana", () => {
  const known = {
    prometheus: "prometheus",
    loki: "loki",
    tempo: "tempo",
    alertmanager: "alertmanager",
  };
  const dashboards = fs.readdirSync(path.join(project, "grafana/dashboards"));

  it("has data sources under fixed uids, of services that are there", () => {
    const { datasources } = parse(read("grafana/provisioning/datasources/groundwork.yaml")) as {
      datasources: { uid: string; type: string; url: string }[];
    };
    assert.deepEqual(Object.fromEntries(datasources.map(({ uid, type }) => [uid, type])), known);
    for (const { url } of datasources) assert.ok(new URL(url).hostname in main.services, url);
  });

  it("leads from exemplars and records to traces, and from traces to records and metrics", () => {
    const text = read("grafana/provisioning/datasources/groundwork.yaml");
    const { datasources } = parse(text) as {
      datasources: { uid: string; jsonData: Record<string, Record<string, unknown>> }[];
    };
    const link = (uid: string, name: string): string =>
      JSON.stringify(datasources.find((each) => each.uid === uid)?.jsonData[name] ?? null);
    assert.match(link("prometheus", "exemplarTraceIdDestinations"), /"datasourceUid":"tempo"/);
    assert.match(link("loki", "derivedFields"), /"datasourceUid":"tempo"/);
    assert.match(link("tempo", "tracesToLogsV2"), /"datasourceUid":"loki"/);
    assert.match(link("tempo", "tracesToMetrics"), /"datasourceUid":"prometheus"/);
    assert.match(link("tempo", "serviceMap"), /"datasourceUid":"prometheus"/);
  });

  for (const file of dashboards)
    it(`draws ${file} within the grid, from known sources, each panel with a query`, () => {
      const dashboard = JSON.parse(read(`grafana/dashboards/${file}`)) as {
        uid: string;
        panels: {
          id: number;
          type: string;
          title: string;
          gridPos: { x: number; y: number; w: number; h: number };
          datasource: { uid: string };
          targets: { refId: string; datasource: { uid: string; type: string } }[];
        }[];
      };
      assert.equal(`${dashboard.uid}.json`, file);
      const ids = dashboard.panels.map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length);
      const cells = new Set<string>();
      for (const { title, gridPos, targets } of dashboard.panels) {
        assert.ok(gridPos.x + gridPos.w <= 24, title);
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
            const cell = `${String(x)},${String(y)}`;
            assert.ok(!cells.has(cell), `${title} lies on another panel`);
            cells.add(cell);
          }
        assert.ok(targets.length > 0, title);
        assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
        for (const { datasource } of targets)
          assert.equal(known[datasource.uid as keyof typeof known], datasource.type, title);
      }
    });

  it("has a page of docs for every runbook that an alert names", () => {
    const docs = fs.readFileSync(path.join(project, "../../docs/observability.md"), "utf8");
    const headings = [...docs.matchAll(/^#+ (.*)$/gm)].map(([, text = ""]) =>
      text.toLowerCase().replaceAll(" ", "-"),
    );
    const named = [...read("prometheus/rules/alerts.yml").matchAll(/runbook: (\S+)#(\S+)/g)];
    assert.ok(named.length > 5);
    for (const [, , anchor = ""] of named) assert.ok(headings.includes(anchor), anchor);
  });
});

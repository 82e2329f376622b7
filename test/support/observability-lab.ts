import { execa } from "execa";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { imagePrograms } from "../../scripts/lib/container-images.ts";
import { cacheRoot, toolPaths } from "../../scripts/lib/tools-paths.ts";
import {
  ensureImages,
  type ImageName,
  renderEnvironment,
} from "../../stacks/observability/images/index.ts";
import { DockerHost } from "./docker-host.ts";
import type { Need } from "./needs.ts";

const source = path.resolve(import.meta.dirname, "../../stacks/observability");

/** What Prometheus, and Loki for metrics, answer to a query. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  /** The newest value. */
  readonly value: number;
}

/** A log record out of Loki, with its fields. */
export interface LogRecord {
  readonly body: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** The observability stack on an engine of the test's own, from images made here. */
export class ObservabilityLab {
  static readonly needs: readonly Need[] = [
    ...(["root", "netns", "mountns", "docker", "collector", "mmdebstrap", "pip", "curl"] as const),
  ];

  readonly engine: DockerHost;
  /** A copy of the project, as it is synced to a machine. */
  readonly folder: string;

  private constructor(engine: DockerHost, folder: string) {
    this.engine = engine;
    this.folder = folder;
  }

  /** Engine, images and project; nothing is up yet. Call `requireNeeds(this, ObservabilityLab.needs)` before. */
  static async make(): Promise<ObservabilityLab> {
    const images = await ensureImages({
      cache: cacheRoot(process.env),
      programs: imagePrograms(process.env),
      report: (line) => process.stderr.write(`    ${line}\n`),
    });
    const engine = await DockerHost.start();
    try {
      engine.addCompose(toolPaths(process.env).compose);
      for (const { file } of images) await engine.runDocker(["load", "--input", file]);
      const folder = path.join(engine.folder, "app");
      fs.cpSync(source, folder, {
        recursive: true,
        filter: (file) => !["frontend", "backend", "images"].includes(path.relative(source, file)),
      });
      const tags = Object.fromEntries(images.map(({ name, tag }) => [name, tag]));
      fs.writeFileSync(
        path.join(folder, ".env"),
        `${renderEnvironment(tags as Record<ImageName, string>)}GRAFANA_ADMIN_PASSWORD=unused\n`,
        { mode: 0o600 },
      );
      return new ObservabilityLab(engine, folder);
    } catch (error) {
      engine.stop();
      throw error;
    }
  }

  compose(...args: string[]): Promise<string> {
    return this.engine.runDocker(["compose", ...args], this.folder);
  }

  async up(): Promise<void> {
    await this.compose("up", "--detach", "--wait");
  }

  /** Runs one of the project's own programs; never throws. */
  async run(program: string, ...args: string[]): Promise<{ exitCode: number; output: string }> {
    const result = await execa(path.join(this.folder, program), args, {
      env: this.engine.environment,
      reject: false,
      all: true,
    });
    return { exitCode: result.exitCode ?? -1, output: result.all };
  }

  /** Changes a file of the project; what it returns changes it back. */
  spoil(file: string, from: string, to: string): () => void {
    const whole = path.join(this.folder, file);
    const right = fs.readFileSync(whole, "utf8");
    if (!right.includes(from)) throw new Error(`${file} does not contain ${from}`);
    fs.writeFileSync(whole, right.replace(from, to));
    return () => fs.writeFileSync(whole, right);
  }

  /** Id and start of every container, by service. */
  async containers(): Promise<Record<string, string>> {
    const ids = (await this.compose("ps", "--quiet")).split("\n").filter((id) => id !== "");
    const format =
      '{{index .Config.Labels "com.docker.compose.service"}} {{.Id}} {{.State.StartedAt}}';
    const lines = (await this.engine.runDocker(["inspect", "--format", format, ...ids])).split(
      "\n",
    );
    return Object.fromEntries(
      lines.map((line) => {
        const [service = "", ...state] = line.split(" ");
        return [service, state.join(" ")];
      }),
    );
  }

  inspect(service: string, format: string): Promise<string> {
    return this.engine.runDocker(["inspect", "--format", format, `lab-${service}-1`]);
  }

  /** A request to the page's own server. */
  async page(
    method: string,
    route: string,
    options: { body?: object; trace?: string } = {},
  ): Promise<unknown> {
    const response = await fetch(`http://${this.engine.address}${route}`, {
      method,
      headers: {
        ...(options.body !== undefined && { "Content-Type": "application/json" }),
        ...(options.trace !== undefined && {
          traceparent: `00-${options.trace}-00f067aa0ba902b7-01`,
        }),
      },
      ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${route}: ${String(response.status)} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  /** A request inside the engine's network, where services that publish no port are reached. */
  async inside(
    service: string,
    port: number,
    request: string,
    query: object = {},
  ): Promise<unknown> {
    const address = await this.inspect(
      service,
      "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
    );
    const { stdout } = await execa("nsenter", [
      ...[`--net=${this.engine.namespace}`, "curl", "-s", "-f", "-m", "15", "-G"],
      ...Object.entries(query).flatMap(([name, text]) => [
        "--data-urlencode",
        `${name}=${String(text)}`,
      ]),
      `http://${address}:${String(port)}${request}`,
    ]);
    return JSON.parse(stdout);
  }

  async prometheus(query: string): Promise<Series[]> {
    const { data } = (await this.inside("prometheus", 9090, "/api/v1/query", { query })) as {
      data: { result: { metric: Record<string, string>; value: [number, string] }[] };
    };
    return data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
  }

  /** Trace ids of the exemplars of a metric. */
  async exemplars(query: string): Promise<string[]> {
    const now = Date.now() / 1000;
    const { data } = (await this.inside("prometheus", 9090, "/api/v1/query_exemplars", {
      query,
      start: now - 900,
      end: now + 60,
    })) as { data: { exemplars: { labels: Record<string, string> }[] }[] };
    return data.flatMap(({ exemplars }) =>
      exemplars.flatMap(({ labels }) => labels["trace_id"] ?? []),
    );
  }

  /** Log records, the newest first. */
  async logs(query: string): Promise<LogRecord[]> {
    const { data } = (await this.inside("loki", 3100, "/loki/api/v1/query_range", {
      query,
      limit: 1000,
      since: "30m",
    })) as { data: { result: { stream: Record<string, string>; values: [string, string][] }[] } };
    return data.result.flatMap(({ stream, values }) =>
      values.map(([, body]) => ({ body, fields: stream })),
    );
  }

  /** A trace as Tempo keeps it, as text; empty while it has none. */
  async trace(id: string): Promise<string> {
    return this.inside("tempo", 3200, `/api/traces/${id}`).then(
      (trace) => JSON.stringify(trace),
      () => "",
    );
  }

  stop(): void {
    this.engine.stop();
    removeSlices();
  }
}

/** What an engine without systemd leaves of the services' control groups; those in use stay. */
export function removeSlices(): void {
  const find = ["/sys/fs/cgroup", "-depth", "-type", "d", "-name", "lab-*.slice"];
  spawnSync("find", [...find, "-exec", "rmdir", "{}", "+"], { stdio: "ignore" });
}

import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import {
  argumentsSchema,
  type ComposeProjectArguments,
} from "../../providers/compose-project/core/arguments.ts";
import { examine, deploy, desiredFiles } from "../../providers/compose-project/effects/project.ts";
import { removeProject } from "../../providers/compose-project/effects/remove.ts";
import { GroundworkError } from "../../providers/errors.ts";
import { type Host, openHost } from "../../providers/host/effects/host.ts";
import { DockerHost } from "./docker-host.ts";
import { composePlugin, type Need, requireNeeds } from "./needs.ts";
import { startSshd, type TestSshd } from "./sshd.ts";

export const busybox = "groundwork-test/busybox:1";

/** A small project of two services: a web server, and a worker that mounts a folder. */
const files: Record<string, string> = {
  "compose.yaml": `
services:
  web:
    image: ${busybox}
    command: [httpd, -f, -p, "8080", -h, /www]
    init: true
    stop_grace_period: 1s
    ports: ["8080:8080"]
    volumes:
      - ./www/index.html:/www/index.html:ro
      - data:/data
    environment: { PASSWORD: "\${PASSWORD:?}" }
    healthcheck:
      test: [CMD, wget, -q, -O, /dev/null, http://127.0.0.1:8080/index.html]
      interval: 1s
      timeout: 2s
      retries: 5
  worker:
    image: ${busybox}
    command: [sh, -c, "cat /etc/worker/greeting && exec sleep 3600"]
    init: true
    stop_grace_period: 1s
    volumes: ["./worker:/etc/worker:ro"]
volumes:
  data:
`,
  "www/index.html": "first page\n",
  "worker/greeting": "hello\n",
  "worker/notes": "one\n",
  "tests/left-out": "never synced\n",
  ".syncignore": "tests/\n",
};

/** A "remote" machine with a Docker engine of its own, and a project to deploy there. */
export class ComposeLab {
  readonly engine: DockerHost;
  readonly sshd: TestSshd;
  readonly host: Host;
  readonly reported: string[] = [];
  readonly #local: string;

  private constructor(engine: DockerHost, sshd: TestSshd) {
    this.engine = engine;
    this.sshd = sshd;
    this.host = openHost(sshd.hostUri);
    this.#local = path.join(engine.folder, "local");
  }

  /** @param options as for the engine */
  static async make(options: { diskMiB?: number } = {}): Promise<ComposeLab> {
    const engine = await DockerHost.start(options);
    try {
      engine.addCompose(composePlugin() ?? "");
      engine.importBusybox(busybox);
      const sshd = await startSshd(engine.environment, engine.namespace);
      return new ComposeLab(engine, sshd);
    } catch (error) {
      engine.stop();
      throw error;
    }
  }

  /** Takes the project's containers, volumes and files away, and writes its sources anew. */
  reset(): void {
    const { engine } = this;
    const ids = (...args: string[]): string[] =>
      engine
        .docker(...args)
        .split("\n")
        .filter(Boolean);
    const containers = ids("ps", "-aq");
    if (containers.length > 0) engine.docker("rm", "-f", ...containers);
    for (const volume of ids("volume", "ls", "-q")) engine.docker("volume", "rm", volume);
    fs.rmSync(path.join(engine.folder, "home"), { recursive: true, force: true });
    fs.mkdirSync(path.join(engine.folder, "home"));
    fs.rmSync(this.#local, { recursive: true, force: true });
    for (const [name, text] of Object.entries(files)) this.write(name, text);
    this.reported.length = 0;
  }

  /** Has the web server take some seconds to start. */
  slowDown(): void {
    this.edit(
      "compose.yaml",
      'command: [httpd, -f, -p, "8080", -h, /www]',
      'command: [sh, -c, "sleep 3; exec httpd -f -p 8080 -h /www"]',
    );
  }

  /** The project's path on the host, which is on this machine. */
  get path(): string {
    return path.join(this.engine.folder, "home/app");
  }

  get store(): string {
    return path.join(this.engine.folder, "home/.app.groundwork");
  }

  /** Writes a source of the project. */
  write(name: string, text: string, mode = 0o644): void {
    const file = path.join(this.#local, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
    fs.chmodSync(file, mode);
  }

  edit(name: string, from: string | RegExp, to: string): void {
    const file = path.join(this.#local, name);
    fs.writeFileSync(
      file,
      fs.readFileSync(file, "utf8").replace(from, () => to),
    );
  }

  removeSource(name: string): void {
    fs.rmSync(path.join(this.#local, name));
  }

  args(
    more: Partial<Record<keyof ComposeProjectArguments, unknown>> = {},
  ): ComposeProjectArguments {
    return argumentsSchema.parse({
      ...{ stack: "lab", host: this.sshd.hostUri, folder: this.#local, path: this.path },
      ...{ project: "tiny", owner: "test/lab", images: "preload" },
      secrets: { PASSWORD: "s3cret-$word" },
      upTimeoutSeconds: 30,
      smokeChecks: [
        { url: "http://127.0.0.1:8080/index.html", contains: "page", timeoutSeconds: 10 },
      ],
      ...more,
    });
  }

  deploy(more: Parameters<ComposeLab["args"]>[0] = {}): Promise<void> {
    return deploy(this.host, this.args(more), (line) => this.reported.push(line));
  }

  async plan(more: Parameters<ComposeLab["args"]>[0] = {}) {
    const args = this.args(more);
    return (await examine(this.host, args, await desiredFiles(args))).summary;
  }

  destroy(more: Parameters<ComposeLab["args"]>[0] = {}): Promise<void> {
    return removeProject(this.host, this.args(more));
  }

  /** Ids of the running containers by service. */
  containers(): Record<string, string> {
    const format = '{{.Label "com.docker.compose.service"}} {{.ID}}';
    const lines = this.engine.docker("ps", "--no-trunc", "--format", format).split("\n");
    return Object.fromEntries(
      lines.filter(Boolean).map((line) => line.split(" ") as [string, string]),
    );
  }

  exec(service: string, ...command: string[]): string {
    return this.engine.docker("exec", this.containers()[service] ?? "", ...command);
  }

  page(): string {
    return this.exec("web", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/index.html");
  }

  volumes(): string[] {
    return this.engine.docker("volume", "ls", "-q").split("\n").filter(Boolean);
  }

  /** Every file and link below the project's place, with modes and content. */
  tree(): string[] {
    const home = path.dirname(this.path);
    return fs
      .readdirSync(home, { recursive: true, withFileTypes: true })
      .map((entry) => path.relative(home, path.join(entry.parentPath, entry.name)))
      .sort();
  }

  stop(): void {
    this.sshd.stop();
    this.engine.stop();
  }
}

/** Waits for work that must fail on purpose; gives its error. */
export async function failureOf(work: Promise<unknown>): Promise<GroundworkError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof GroundworkError, `ended with ${String(error)}`);
  return error;
}

const composeNeeds: readonly Need[] = [
  ...(["root", "netns", "mountns", "dockerd", "compose", "busybox"] as const),
  ...(["sshd", "netcat"] as const),
];

/**
 * Gives a suite a lab of its own: call it in `describe`, and what it returns in hooks and tests.
 * @param options what the suite needs besides, the size of a disk for the engine's data alone, and what else is to
 *   be made before the tests, which a hook of the suite's own would try where a need is missing as well
 */
export function useComposeLab(
  options: {
    needs?: readonly Need[];
    diskMiB?: number;
    prepare?: () => Promise<void>;
  } = {},
): () => ComposeLab {
  let lab: ComposeLab | undefined;
  before(async function () {
    requireNeeds(this, [...composeNeeds, ...(options.needs ?? [])]);
    lab = await ComposeLab.make(options);
    await options.prepare?.();
  });
  after(() => lab?.stop());
  return () => {
    if (lab === undefined) throw new Error("the lab is made in a hook");
    return lab;
  };
}

import { execa, execaSync } from "execa";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as path from "node:path";
import { stringify } from "yaml";
import { quote } from "../../providers/host/core/script.ts";
import { toolPaths } from "../../scripts/lib/tools-paths.ts";
import { endTree, makeScratch, type Scratch, tied, undoAtExit, waitUntilReady } from "./scratch.ts";

/** How a command ended, and what it wrote. */
export interface Ended {
  exitCode?: number;
  stdout: string;
  stderr: string;
}

/** The address of the server in its own network namespace. */
export const serverAddress = "10.99.0.10";

const setUp = [
  "ip link set lo up",
  "ip link add lan type veth peer name far",
  `ip address add ${serverAddress}/24 dev lan`,
  "ip link set lan up",
  "ip link set far up",
  'exec "$@"',
].join("\n");

/**
 * The stand-in for k3s as a server without kubelet, in a network namespace of its own and with all its
 * files in a scratch folder. Needs ["root", "netns", "k3s"].
 */
export class K3sServer {
  readonly #scratch: Scratch = makeScratch("k3s");
  readonly #forget: () => void;
  #process: ChildProcess | undefined;

  constructor() {
    this.#forget = undoAtExit(() => {
      endTree(this.#process?.pid);
      this.#scratch.remove();
    });
  }

  file(...parts: string[]): string {
    return path.join(this.#scratch.folder, ...parts);
  }

  read(...parts: string[]): string {
    return fs.readFileSync(this.file(...parts), "utf8");
  }

  get log(): string {
    return this.read("log");
  }

  /** Writes config.yaml. Data and kubeconfig lie in the scratch folder, whatever it says. */
  configure(config: Record<string, unknown>): void {
    const own = { "data-dir": this.file("data"), "write-kubeconfig": this.file("k3s.yaml") };
    fs.writeFileSync(this.file("config.yaml"), stringify({ ...config, ...own }));
  }

  /** Starts the server with the configuration as it is. */
  start(): void {
    const output = fs.openSync(this.file("log"), "w");
    const k3s = [toolPaths(process.env).k3s, "server", "--config", this.file("config.yaml")];
    const [program, args] = tied("unshare", ["--net", "bash", "-c", setUp, "bash", ...k3s]);
    this.#process = spawn(program, args, { stdio: ["ignore", output, output] });
    this.#process.unref();
    fs.closeSync(output);
  }

  /** Waits for /readyz and gives the seconds it took. */
  async ready(): Promise<number> {
    const started = performance.now();
    const readyz = (): Promise<boolean> => {
      if (this.#process?.exitCode !== null) throw new Error(`k3s ended: ${this.log.slice(-2000)}`);
      return Promise.resolve(this.k3s("kubectl", "get", "--raw", "/readyz").stdout === "ok");
    };
    await waitUntilReady("k3s", readyz, () => this.log.slice(-4000), 120);
    return (performance.now() - started) / 1000;
  }

  /** Ends it as systemd does, and gives its exit code. */
  async stop(): Promise<number | null> {
    if (this.#process === undefined) return null;
    if (this.#process.exitCode === null) this.#process.kill("SIGTERM");
    return this.ended();
  }

  async ended(): Promise<number | null> {
    if (this.#process?.exitCode === null) await once(this.#process, "exit");
    return this.#process?.exitCode ?? null;
  }

  /** Runs a command of k3s beside the server. */
  k3s(...args: string[]): Ended {
    return this.inside(toolPaths(process.env).k3s, ...args);
  }

  curl(url: string, ...args: string[]): { status: number; body: string } {
    const { stdout } = this.inside("curl", "-sk", "-w", "\n%{http_code}", ...args, url);
    const lines = stdout.split("\n");
    return { status: Number(lines.pop()), body: lines.join("\n") };
  }

  /**
   * Runs a script for nodes where it finds this server: in its network, and with its data and its
   * kubeconfig in k3s's own places. What the script writes into them stays; all else is forgotten.
   */
  script(text: string): Ended {
    const folder = this.file("node");
    const k3s = toolPaths(process.env).k3s;
    const driver = [
      "set -e",
      `mkdir -p ${folder} && mount -t tmpfs tmpfs ${folder}`,
      "for each in etc usr/local var/lib; do",
      `  mkdir -p ${folder}/$each/up ${folder}/$each/work`,
      `  mount -t overlay overlay -o lowerdir=/$each,upperdir=${folder}/$each/up,workdir=${folder}/$each/work /$each`,
      "done",
      "mkdir -p /var/lib/rancher/k3s /etc/rancher/k3s",
      `mount --bind ${this.file("data")} /var/lib/rancher/k3s`,
      `cp ${this.file("k3s.yaml")} ${this.file("config.yaml")} /etc/rancher/k3s/`,
      `ln -sf ${k3s} /usr/local/bin/k3s`,
      `exec bash -c ${quote(text)}`,
    ].join("\n");
    return this.inside("unshare", "--mount", "--propagation", "private", "bash", "-c", driver);
  }

  /** Runs a program in the server's network. */
  inside(program: string, ...args: string[]): Ended {
    const net = `--net=/proc/${String(this.#process?.pid ?? 0)}/ns/net`;
    const { exitCode, stdout, stderr } = execaSync("nsenter", [net, program, ...args], {
      reject: false,
      env: { KUBECONFIG: this.file("k3s.yaml"), K3S_CONFIG_FILE: this.file("config.yaml") },
    });
    return { ...(exitCode !== undefined && { exitCode }), stdout, stderr };
  }

  async remove(): Promise<void> {
    await this.stop();
    this.#forget();
  }
}

/** Runs the stand-in where no server runs. */
export async function runK3s(...args: string[]): Promise<{ code: number; output: string }> {
  const { exitCode, all } = await execa(toolPaths(process.env).k3s, args, {
    reject: false,
    all: true,
  });
  return { code: exitCode ?? -1, output: all };
}

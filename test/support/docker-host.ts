import { execFileSync, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { makeScratch, tied, undoAtExit, waitUntilReady } from "./scratch.ts";

let made = 0;

/**
 * Docker's engine, the real one, with a network namespace, a data folder and a socket of its own.
 * Needs ["root", "netns", "dockerd"].
 */
export class DockerHost {
  readonly #scratch = makeScratch("docker");
  readonly folder = this.#scratch.folder;
  readonly #name = `gw-docker-${String(process.pid)}-${String((made += 1))}`;
  /** Path of the network namespace in which published ports are. */
  readonly namespace = `/run/netns/${this.#name}`;
  readonly socket = path.join(this.folder, "docker.sock");
  /** What `docker`, and whatever uses it, needs in its environment. */
  readonly environment: Record<string, string> = {
    DOCKER_HOST: `unix://${this.socket}`,
    DOCKER_CONFIG: path.join(this.folder, "config"),
  };
  #pid: number | undefined;
  #stop: () => void = () => undefined;

  private constructor() {
    fs.mkdirSync(path.join(this.folder, "config"));
  }

  /** Starts the engine and waits until it answers. */
  static async start(): Promise<DockerHost> {
    const engine = new DockerHost();
    engine.#stop = undoAtExit(() => {
      engine.#end();
    });
    try {
      await engine.#start();
    } catch (error) {
      engine.#stop();
      throw error;
    }
    return engine;
  }

  async #start(): Promise<void> {
    execFileSync("ip", ["netns", "add", this.#name]);
    execFileSync("ip", ["-n", this.#name, "link", "set", "lo", "up"]);
    await this.#launch();
  }

  async #launch(): Promise<void> {
    const file = (name: string): string => path.join(this.folder, name);
    const log = (): string => fs.readFileSync(file("log"), "utf8").slice(-2000);
    const output = fs.openSync(file("log"), "w");
    // Not `ip netns exec`, which hides the control groups.
    const [command, args] = tied("nsenter", [
      `--net=${this.namespace}`,
      "dockerd",
      ...["--data-root", file("data"), "--exec-root", file("exec"), "--pidfile", file("pid")],
      ...["--host", `unix://${this.socket}`, "--storage-driver", "overlay2"],
    ]);
    const server = spawn(command, args, { stdio: ["ignore", output, output] });
    fs.closeSync(output);
    server.unref();
    this.#pid = server.pid;
    const answers = (): Promise<boolean> => Promise.resolve(this.tryDocker("version").status === 0);
    await waitUntilReady("dockerd", answers, log, 60);
  }

  /** Runs `docker`; returns what it printed, or throws with what it said. */
  docker(...args: string[]): string {
    const result = this.tryDocker(...args);
    if (result.status !== 0) throw new Error(`docker ${args.join(" ")}: ${result.stderr}`);
    return result.stdout.trim();
  }

  tryDocker(...args: string[]) {
    return spawnSync("docker", args, {
      encoding: "utf8",
      env: { ...process.env, ...this.environment },
      timeout: 60_000,
    });
  }

  /** Makes Compose V2 known to `docker` here. @param file the plugin's binary */
  addCompose(file: string): void {
    const plugins = path.join(this.folder, "config", "cli-plugins");
    fs.mkdirSync(plugins, { recursive: true });
    fs.symlinkSync(file, path.join(plugins, "docker-compose"));
  }

  /** An image with busybox and nothing else, called `name`. */
  importBusybox(name: string): void {
    const root = path.join(this.folder, "root");
    fs.mkdirSync(path.join(root, "bin"), { recursive: true });
    for (const folder of ["tmp", "data", "etc", "www"])
      fs.mkdirSync(path.join(root, folder), { recursive: true });
    fs.copyFileSync("/bin/busybox", path.join(root, "bin/busybox"));
    execFileSync("chroot", [root, "/bin/busybox", "--install", "-s", "/bin"]);
    const script = 'tar -C "$1" -c . | docker import --change "CMD [\\"sh\\"]" - "$2"';
    execFileSync("bash", ["-c", script, "bash", root, name], {
      env: { ...process.env, ...this.environment },
      stdio: ["ignore", "ignore", "inherit"],
    });
  }

  /** Ends engine and containers in an instant, and starts the engine again, as after a power loss. */
  async cutPower(): Promise<void> {
    for (const pid of pidsIn(this.folder)) endGently(pid, "SIGKILL");
    fs.rmSync(path.join(this.folder, "pid"), { force: true });
    await this.#launch();
  }

  /** Ends the engine with its containers and removes all of it. */
  stop(): void {
    this.#stop();
  }

  #end(): void {
    const containers = this.tryDocker("ps", "-aq").stdout.split("\n").filter(Boolean);
    if (containers.length > 0) this.tryDocker("rm", "-f", ...containers);
    if (this.#pid !== undefined) endGently(this.#pid);
    for (const pid of pidsIn(this.folder)) endGently(pid, "SIGKILL");
    spawnSync("ip", ["netns", "del", this.#name]);
    this.#scratch.remove();
  }
}

/** Processes whose command line names the folder: what an engine that was killed leaves behind. */
function pidsIn(folder: string): number[] {
  return fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(folder);
      } catch {
        return false; // it has ended
      }
    })
    .map(Number);
}

function endGently(pid: number, signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): void {
  const script = `kill -${signal.slice(3)} "$1" 2>/dev/null || exit 0
    for _ in $(seq 100); do [ -d "/proc/$1" ] || exit 0; sleep 0.1; done
    kill -KILL "$1" 2>/dev/null; sleep 0.2`;
  spawnSync("bash", ["-c", script, "bash", String(pid)]);
}

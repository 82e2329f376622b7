import { execa } from "execa";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { makeReachableNamespace } from "./reachable-namespace.ts";
import { makeScratch, tied, undoAtExit, waitUntilReady } from "./scratch.ts";
import { until } from "./until.ts";

let made = 0;

/**
 * Docker's engine, the real one, with a network namespace, a data folder and a socket of its own.
 * Needs ["root", "netns", "mountns", "dockerd"].
 */
export class DockerHost {
  readonly #scratch = makeScratch("docker");
  readonly folder = this.#scratch.folder;
  readonly #index = (made += 1);
  readonly #name = `gw-docker-${String(process.pid)}-${String(this.#index)}`;
  /** Path of the network namespace in which published ports are. */
  readonly namespace = `/run/netns/${this.#name}`;
  readonly socket = path.join(this.folder, "docker.sock");
  /** What `docker`, and whatever uses it, needs in its environment. */
  readonly environment: Record<string, string> = {
    DOCKER_HOST: `unix://${this.socket}`,
    DOCKER_CONFIG: path.join(this.folder, "config"),
  };
  /** Folder of images, containers and volumes. */
  readonly data = path.join(this.folder, "data");
  #network: ReturnType<typeof makeReachableNamespace> | undefined;
  #pid: number | undefined;
  #stop: () => void = () => undefined;

  private constructor() {
    fs.mkdirSync(path.join(this.folder, "config"));
  }

  /**
   * Starts the engine and waits until it answers.
   * @param diskMiB size of a disk of its own for its data, which needs "loop"; otherwise it uses this machine's
   */
  static async start({ diskMiB }: { diskMiB?: number } = {}): Promise<DockerHost> {
    const engine = new DockerHost();
    if (diskMiB !== undefined) engine.#makeDisk(diskMiB);
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

  /** The scratch folder's end unmounts it. */
  #makeDisk(sizeMiB: number): void {
    const file = path.join(this.folder, "disk");
    fs.mkdirSync(this.data);
    fs.writeFileSync(file, "");
    fs.truncateSync(file, sizeMiB * 2 ** 20);
    execFileSync("mkfs.ext4", ["-q", file]);
    execFileSync("mount", ["-o", "loop", file, this.data]);
  }

  async #start(): Promise<void> {
    this.#network = makeReachableNamespace(this.#name, this.#index);
    await this.#launch();
  }

  /** The address under which published ports are reached from this machine. */
  get address(): string {
    return this.#network?.address ?? "";
  }

  async #launch(): Promise<void> {
    const file = (name: string): string => path.join(this.folder, name);
    const log = (): string => fs.readFileSync(file("log"), "utf8").slice(-2000);
    const output = fs.openSync(file("log"), "w");
    // Not `ip netns exec`, which hides the control groups. Its mounts end with it; they are shared among its
    // containers, as systemd has it, or none could see the host's as a slave.
    const [command, args] = tied("nsenter", [
      ...[`--net=${this.namespace}`, "unshare", "--mount", "--propagation", "private"],
      ...["sh", "-c", 'mount --make-rshared / && exec "$@"', "sh", "dockerd"],
      ...["--data-root", this.data, "--exec-root", file("exec"), "--pidfile", file("pid")],
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

  /** The same for what takes long, and with a folder in which it runs. */
  async runDocker(args: readonly string[], cwd = this.folder): Promise<string> {
    const result = await execa("docker", args, {
      ...{ cwd, env: this.environment, all: true, reject: false, stdin: "ignore" },
    });
    if (result.exitCode === 0) return result.stdout;
    throw new Error(`docker ${args.join(" ")}: ${result.all === "" ? "failed" : result.all}`);
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
    fs.chmodSync(path.join(root, "tmp"), 0o1777);
    fs.copyFileSync("/bin/busybox", path.join(root, "bin/busybox"));
    execFileSync("chroot", [root, "/bin/busybox", "--install", "-s", "/bin"]);
    const script = 'tar -C "$1" -c . | docker import --change "CMD [\\"sh\\"]" - "$2"';
    execFileSync("bash", ["-c", script, "bash", root, name], {
      env: { ...process.env, ...this.environment },
      stdio: ["ignore", "ignore", "inherit"],
    });
  }

  /** Fills the disk of its data but for so much; `undefined` makes it empty again. */
  fillDisk(leftMiB: number | undefined): void {
    const filler = path.join(this.data, "filler");
    fs.rmSync(filler, { force: true });
    if (leftMiB === undefined) return;
    const { bavail, bsize } = fs.statfsSync(this.data);
    execFileSync("fallocate", ["-l", String(bavail * bsize - leftMiB * 2 ** 20), filler]);
  }

  /**
   * Ends all that runs on this "machine" in an instant, and starts the engine again, as after a power
   * loss: engine, containers, connections and what they had started. The SSH server is there again.
   */
  async cutPower(): Promise<void> {
    const pids = withDescendants([...pidsIn(this.folder), ...pidsInside(this.namespace)]);
    for (const pid of pids) kill(pid);
    await until(() => pids.every((pid) => !fs.existsSync(`/proc/${String(pid)}/exe`)), "their end");
    // What lies in /run on a machine, and what is mounted, does not outlive it.
    const unmount = `awk -v below="$1/" 'index($5, below) == 1 && $5 != below "data" { print $5 }' /proc/self/mountinfo |
      sort -r | xargs -r -d '\\n' umount`;
    execFileSync("bash", ["-c", unmount, "bash", this.folder]);
    for (const name of ["pid", "exec", "docker.sock"])
      fs.rmSync(path.join(this.folder, name), { recursive: true, force: true });
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
    this.#network?.remove();
    this.#scratch.remove();
  }
}

/** Processes whose command line names the folder: what an engine that was killed leaves behind. */
function pidsIn(folder: string): number[] {
  return readPids().filter((pid) => {
    try {
      return fs.readFileSync(`/proc/${String(pid)}/cmdline`, "utf8").includes(folder);
    } catch {
      return false; // it has ended
    }
  });
}

/** Processes in a network namespace, but for what waits for SSH connections. */
function pidsInside(namespace: string): number[] {
  const { ino } = fs.statSync(namespace);
  return readPids().filter((pid) => {
    try {
      const listens = fs
        .readFileSync(`/proc/${String(pid)}/cmdline`, "utf8")
        .includes("[listener]");
      return !listens && fs.statSync(`/proc/${String(pid)}/ns/net`).ino === ino;
    } catch {
      return false; // it has ended
    }
  });
}

/** Containers are below their keepers, in namespaces of their own. */
function withDescendants(pids: readonly number[]): number[] {
  const parents = new Map(readPids().map((pid) => [pid, readParent(pid)]));
  const all = new Set(pids);
  for (let before = -1; before !== all.size;) {
    before = all.size;
    for (const [pid, parent] of parents) if (parent !== undefined && all.has(parent)) all.add(pid);
  }
  return [...all];
}

function readParent(pid: number): number | undefined {
  try {
    return Number(
      /^PPid:\s+(\d+)$/m.exec(fs.readFileSync(`/proc/${String(pid)}/status`, "utf8"))?.[1],
    );
  } catch {
    return undefined; // it has ended
  }
}

function readPids(): number[] {
  return fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // it has ended
  }
}

function endGently(pid: number, signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): void {
  const script = `kill -${signal.slice(3)} "$1" 2>/dev/null || exit 0
    for _ in $(seq 100); do [ -d "/proc/$1" ] || exit 0; sleep 0.1; done
    kill -KILL "$1" 2>/dev/null; sleep 0.2`;
  spawnSync("bash", ["-c", script, "bash", String(pid)]);
}

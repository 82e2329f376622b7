import { execa } from "execa";
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { cacheRoot } from "../../scripts/lib/tools-paths.ts";
import { makeScratch, undoAtExit, waitUntilReady } from "./scratch.ts";

/** Docker's real engine, in a network namespace and with images, containers and volumes of its own. */
export interface DockerEngine {
  /** The address under which published ports are reached from this machine. */
  readonly address: string;
  /** What `docker` and `docker compose` need to talk to this engine. */
  readonly environment: Readonly<Record<string, string>>;
  /** Name of the network namespace, for programs that are to see published ports at 127.0.0.1. */
  readonly namespace: string;
  /** Runs `docker`; throws with what it said when it fails. */
  docker(args: readonly string[], cwd?: string): Promise<string>;
  stop(): void;
}

/** Starts an engine. Call `requireNeeds(this, ["docker"])` before. */
export async function startDockerEngine(): Promise<DockerEngine> {
  const scratch = makeScratch("docker");
  const id = String(process.pid);
  const namespace = `gwdocker${id}`;
  const link = `gwd${id}`;
  const subnet = subnetOf(process.pid);
  const socket = path.join(scratch.folder, "docker.sock");
  const log = path.join(scratch.folder, "dockerd.log");
  const stop = undoAtExit(() => {
    end(scratch.folder);
    spawnSync("ip", ["netns", "del", namespace], { stdio: "ignore" });
    spawnSync("ip", ["link", "del", link], { stdio: "ignore" });
    scratch.remove();
  });
  try {
    await makeNamespace(namespace, link, subnet);
    fs.writeFileSync(path.join(scratch.folder, "daemon.json"), "{}\n"); // not this machine's
    startDaemon(scratch.folder, namespace, socket, log);
    const environment = {
      DOCKER_HOST: `unix://${socket}`,
      DOCKER_CONFIG: path.join(cacheRoot(process.env), "docker"),
    };
    const docker = async (args: readonly string[], cwd = scratch.folder): Promise<string> => {
      const result = await execa("docker", args, {
        cwd,
        env: environment,
        all: true,
        reject: false,
        stdin: "ignore",
      });
      if (result.exitCode !== 0)
        throw new Error(`docker ${args.join(" ")}: ${result.all === "" ? "failed" : result.all}`);
      return result.stdout;
    };
    await waitUntilReady(
      "the engine",
      async () => (await docker(["info"])) !== "",
      () => fs.readFileSync(log, "utf8").slice(-4000),
      40,
    );
    return { address: subnet.inside, environment, namespace, docker, stop };
  } catch (error) {
    stop();
    throw error;
  }
}

interface Subnet {
  readonly outside: string;
  readonly inside: string;
}

/** Four addresses of the range for carriers, which no lab and no engine uses, by process. */
function subnetOf(pid: number): Subnet {
  const base = (pid % 2 ** 20) * 4;
  const address = (at: number): string => {
    const host = base + at;
    return `100.${String(64 + (host >> 16))}.${String((host >> 8) & 255)}.${String(host & 255)}`;
  };
  return { outside: address(1), inside: address(2) };
}

async function makeNamespace(name: string, link: string, subnet: Subnet): Promise<void> {
  const inside = ["netns", "exec", name, "ip"];
  for (const args of [
    ["netns", "add", name],
    ["link", "add", link, "type", "veth", "peer", "name", "outside", "netns", name],
    ["address", "add", `${subnet.outside}/30`, "dev", link],
    ["link", "set", link, "up"],
    [...inside, "address", "add", `${subnet.inside}/30`, "dev", "outside"],
    [...inside, "link", "set", "outside", "up"],
    [...inside, "link", "set", "lo", "up"],
  ])
    await execa("ip", args);
}

function startDaemon(folder: string, namespace: string, socket: string, log: string): void {
  const output = fs.openSync(log, "w");
  const daemon = spawn(
    "nsenter",
    [
      // `ip netns exec` would mount another /sys, without the control groups. Mounts of its own end with it;
      // they are shared among its containers, as systemd has it, or none could see the host's as a slave.
      ...[`--net=/run/netns/${namespace}`, "unshare", "--mount", "--propagation", "private"],
      ...["sh", "-c", 'mount --make-rshared / && exec "$@"', "sh"],
      ...["dockerd", "--host", `unix://${socket}`, "--data-root", path.join(folder, "data")],
      ...["--exec-root", path.join(folder, "exec"), "--pidfile", path.join(folder, "dockerd.pid")],
      ...["--config-file", path.join(folder, "daemon.json"), "--group", "root"],
    ],
    {
      stdio: ["ignore", output, output],
      detached: true,
      env: { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` },
    },
  );
  fs.closeSync(output);
  daemon.unref();
}

/** Ends the daemon, its containers' keepers and the containers: every process that names the folder, and those below. */
function end(folder: string): void {
  const script = `
    below() { for child in $(ps -o pid= --ppid "$1"); do below "$child"; done; echo "$1"; }
    daemon=$(cat "$1/dockerd.pid" 2>/dev/null) && kill "$daemon" 2>/dev/null
    for try in $(seq 100); do [ -n "$daemon" ] && [ -d "/proc/$daemon" ] || break; sleep 0.1; done
    for pid in $(grep -l -s -F -a "$1/" /proc/[0-9]*/cmdline | cut -d/ -f3); do
      [ "$pid" = $$ ] || [ "$pid" = "$PPID" ] || below "$pid"
    done | sort -u | xargs -r kill -KILL 2>/dev/null
    true`;
  spawnSync("bash", ["-c", script, "bash", folder], { stdio: ["ignore", "ignore", "inherit"] });
}

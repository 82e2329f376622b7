import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

/** What a lab can leave on a machine, each as sorted lines; see `readSnapshot`. */
export type Snapshot = Record<string, string[]>;

/** Lines of a command's output; none when the machine lacks the command or nothing answers. */
function lines(file: string, args: readonly string[]): string[] {
  const { stdout, status } = spawnSync(file, args, {
    encoding: "utf8",
    env: { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`, LC_ALL: "C" },
    timeout: 60_000,
  });
  if (status !== 0) return [];
  return stdout
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .sort();
}

/** Every path below a folder; none when there is no such folder. */
function tree(folder: string): string[] {
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => path.join(folder, name))
    .sort();
}

/** Programs that a lab starts and that must be gone with it. */
const programs =
  /^(libvirtd|virtlogd|qemu-system-\S*|qemu-img|dnsmasq|minio\S*|pulumi\S*|terraform-provider\S*|nsenter|nc)$/;

function processes(): string[] {
  const commands = fs.readdirSync("/proc").flatMap((pid) => {
    try {
      const words = fs.readFileSync(path.join("/proc", pid, "cmdline"), "utf8").split("\0");
      return programs.test(path.basename(words[0] ?? "")) ? [`${pid} ${words.join(" ")}`] : [];
    } catch {
      return []; // no process, or one that ended meanwhile
    }
  });
  return commands.sort();
}

/** Mount points with what is mounted there, without the numbers that change by themselves. */
function mounts(): string[] {
  return fs
    .readFileSync("/proc/self/mounts", "utf8")
    .trim()
    .split("\n")
    .map((line) => line.split(" ").slice(0, 3).join(" "))
    .sort();
}

/**
 * Everything on this machine that a lab makes and must take away again. LVM is asked for its
 * groups, and not for devices only, since on some machines it cannot activate any.
 */
export function readSnapshot(): Snapshot {
  const virsh = (...args: string[]): string[] =>
    lines("virsh", ["--quiet", "--connect", "qemu:///system", ...args]);
  return {
    namespaces: lines("ip", ["netns", "list"]).map((line) => line.split(" ")[0] ?? ""),
    links: lines("ip", ["-oneline", "link"]).map((line) => line.split(":")[1]?.trim() ?? ""),
    loops: lines("losetup", ["--list", "--noheadings", "--output", "NAME,BACK-FILE"]),
    volumeGroups: lines("vgs", ["--driverloaded", "n", "--noheadings", "--options", "vg_name"]),
    devices: tree("/dev/mapper"),
    domains: virsh("list", "--all", "--name"),
    networks: virsh("net-list", "--all", "--name"),
    pools: virsh("pool-list", "--all", "--name"),
    processes: processes(),
    mounts: mounts(),
    files: ["/run/groundwork", "/var/lib/groundwork", "/run/netns"].flatMap(tree),
  };
}

/** Other programs end and remove their files in the meantime; that is no doing of ours. */
const mayVanish = new Set(["processes", "files"]);

/** What is there after and was not before, or was and is not, as `+ loops: …` and `- loops: …`. */
export function compareSnapshots(before: Snapshot, after: Snapshot): string[] {
  const short = (line: string): string => (line.length > 160 ? `${line.slice(0, 160)}…` : line);
  return Object.keys(before).flatMap((kind) => {
    const [was, is] = [new Set(before[kind]), new Set(after[kind])];
    const gone = mayVanish.has(kind) ? [] : [...was].filter((line) => !is.has(line));
    return [
      ...[...is].filter((line) => !was.has(line)).map((line) => `+ ${kind}: ${short(line)}`),
      ...gone.map((line) => `- ${kind}: ${short(line)}`),
    ];
  });
}

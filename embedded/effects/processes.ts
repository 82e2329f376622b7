import { readdirSync, readFileSync, statSync } from "node:fs";
import { GroundworkError } from "../../providers/errors.ts";
import { markOf, markVariable } from "../core/layout.ts";
import type { Daemon, EmbeddedOptions, Process } from "../core/types.ts";
import { waitFor } from "./command.ts";

const daemons: readonly Daemon[] = ["virtlogd", "libvirtd", "minio"];

/** What `read` gives, or undefined when the process is gone or not ours to look at. */
function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** When a process started, in clock ticks since boot; undefined for one that has ended. */
export function readStartTime(pid: number): string | undefined {
  const stat = unlessGone(() => readFileSync(`/proc/${String(pid)}/stat`, "utf8"));
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields?.[0] === "Z" ? undefined : fields?.[19];
}

function networkNamespaceOf(pid: number | "self"): number | undefined {
  return unlessGone(() => statSync(`/proc/${String(pid)}/ns/net`).ino);
}

function daemonOf(pid: number, options: Pick<EmbeddedOptions, "home">): Daemon | undefined {
  const environment = unlessGone(() => readFileSync(`/proc/${String(pid)}/environ`, "utf8"));
  if (environment?.includes(markVariable) !== true) return undefined;
  const entries = new Set(environment.split("\0"));
  return daemons.find((daemon) => entries.has(`${markVariable}=${markOf(options, daemon)}`));
}

function isKernelThread(pid: number): boolean {
  return unlessGone(() => readFileSync(`/proc/${String(pid)}/cmdline`, "utf8")) === "";
}

function ancestors(): Set<number> {
  const found = new Set<number>([process.pid]);
  for (let pid = process.ppid; pid > 1;) {
    found.add(pid);
    const stat = unlessGone(() => readFileSync(`/proc/${String(pid)}/stat`, "utf8"));
    pid = Number(stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[1] ?? 0);
  }
  return found;
}

/**
 * Every process that belongs to this home: the daemons that carry our mark, and all that lives in
 * the network namespaces of our libvirt (guests, dnsmasq, connections). Never this process or those
 * that started it, and never a namespace that init lives in.
 *
 * @param namespace inode behind /run/netns/<name>, where that is ours.
 */
export function findProcesses(
  options: Pick<EmbeddedOptions, "home">,
  namespace: number | undefined,
): Process[] {
  const own = ancestors();
  const init = new Set([networkNamespaceOf(1), networkNamespaceOf("self")]);
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && !own.has(Number(name)))
    .flatMap((name): Process[] => {
      const pid = Number(name);
      const startTime = readStartTime(pid);
      const inode = networkNamespaceOf(pid);
      if (startTime === undefined || inode === undefined) return [];
      const daemon = daemonOf(pid, options);
      return [{ pid, startTime, namespace: inode, ...(daemon !== undefined && { daemon }) }];
    });
  const namespaces = new Set(
    all
      .filter((process) => process.daemon === "libvirtd" || process.daemon === "virtlogd")
      .map((process) => process.namespace)
      .filter((inode) => !init.has(inode)),
  );
  if (namespace !== undefined && namespace !== networkNamespaceOf(1)) namespaces.add(namespace);
  return all.filter(
    (process) =>
      process.daemon !== undefined ||
      (namespaces.has(process.namespace) && !isKernelThread(process.pid)),
  );
}

/**
 * Whether a daemon that was started is gone. A process shows no environment, and so no mark, for a
 * moment while it becomes another program; hence it must be missed several times.
 */
export async function hasEnded(
  options: Pick<EmbeddedOptions, "home">,
  daemon: Daemon,
): Promise<boolean> {
  for (let attempt = 0; attempt < 4; attempt += 1) {
    if (findProcesses(options, undefined).some((found) => found.daemon === daemon)) return false;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  return true;
}

function alive(found: Process): boolean {
  return readStartTime(found.pid) === found.startTime;
}

/** Ends exactly these processes: politely, and after ten seconds by force. */
export async function endProcesses(processes: readonly Process[]): Promise<void> {
  const signal = (name: "SIGTERM" | "SIGKILL"): void => {
    for (const found of processes)
      if (alive(found)) unlessGone(() => process.kill(found.pid, name));
  };
  const allEnded = (): true | undefined => (processes.some(alive) ? undefined : true);
  signal("SIGTERM");
  if ((await waitFor(allEnded, 10)) === true) return;
  signal("SIGKILL");
  if ((await waitFor(allEnded, 10)) === true) return;
  const left = processes.filter(alive).map((found) => String(found.pid));
  throw new GroundworkError({
    code: "process-will-not-end",
    message: `Processes ${left.join(", ")} do not end, not even by SIGKILL.`,
    next: "See with `ps -o pid,stat,wchan,args` what they wait for, then run the same command again.",
  });
}

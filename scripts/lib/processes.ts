import * as fs from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { parseEnvironment } from "./environment.ts";
import type { Process } from "./recover-plan.ts";

/** Field 4 of /proc/<pid>/stat; the name before it may hold spaces and parentheses. */
export function parseParent(stat: string): number {
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
}

async function readProcess(pid: number): Promise<Process | undefined> {
  try {
    const [stat, command, environment] = await Promise.all([
      fs.readFile(`/proc/${String(pid)}/stat`, "utf8"),
      fs.readFile(`/proc/${String(pid)}/cmdline`, "utf8"),
      fs.readFile(`/proc/${String(pid)}/environ`, "utf8").catch(() => ""), // somebody else's
    ]);
    const home = parseEnvironment(environment)["GROUNDWORK_HOME"];
    return {
      pid,
      parent: parseParent(stat),
      command: command.split("\0").filter((word) => word !== ""),
      ...(home !== undefined && { home }),
    };
  } catch {
    return undefined; // it ended meanwhile
  }
}

/** Every process of this machine. */
export async function readProcesses(): Promise<Process[]> {
  const pids = (await fs.readdir("/proc")).map(Number).filter(Number.isInteger);
  const processes = await Promise.all(pids.map(readProcess));
  return processes.filter((process) => process !== undefined);
}

/** Ends processes: gently, then, after five seconds, by force. */
export async function endProcesses(pids: readonly number[]): Promise<void> {
  const signal = (pid: number, name: NodeJS.Signals | 0): boolean => {
    try {
      return process.kill(pid, name);
    } catch {
      return false; // it is gone
    }
  };
  for (const pid of pids) signal(pid, "SIGTERM");
  for (let tries = 0; tries < 50; tries += 1) {
    if (!pids.some((pid) => signal(pid, 0))) return;
    await sleep(100);
  }
  for (const pid of pids) signal(pid, "SIGKILL");
}

import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import type { automation } from "@pulumi/pulumi";
import { GroundworkError } from "../../providers/errors.ts";
import { type Context, project } from "./context.ts";
import { readNames } from "./files.ts";
import { endProcesses, readProcesses } from "./processes.ts";
import {
  exportSchema,
  type Leftover,
  type Lock,
  parseLock,
  planLocks,
  planOrphans,
  planPending,
} from "./recover-plan.ts";
import { mayBeInterrupted, runPulumi } from "./stack.ts";
import { runVirsh } from "./virsh.ts";

type Report = (line: string) => void;

async function readLocks(context: Context): Promise<Lock[]> {
  const folder = path.join(
    context.home,
    "state/.pulumi/locks/organization",
    project,
    context.stack,
  );
  const names = (await readNames(folder)) ?? [];
  const locks = await Promise.all(
    names
      .filter((name) => name.endsWith(".json"))
      .map(async (name) => {
        const file = path.join(folder, name);
        return parseLock(file, await fs.readFile(file, "utf8"));
      }),
  );
  return locks.filter((lock) => lock !== undefined);
}

/**
 * Clears what a killed Pulumi left behind on this machine: plugins that go on working, and the
 * lock of the stack. Needs neither Pulumi nor a hypervisor.
 *
 * @throws GroundworkError `stack-is-busy` when another Pulumi is at work on the stack.
 */
export async function clearRemains(context: Context, report: Report): Promise<void> {
  const processes = await readProcesses();
  const orphans = planOrphans(processes, context.home);
  if (orphans.length > 0) {
    report(`ending what a killed Pulumi left running: process ${orphans.join(", ")}`);
    await endProcesses(orphans);
  }
  const { stale, held } = planLocks(await readLocks(context), processes, os.hostname());
  const [first] = held;
  if (first !== undefined)
    throw new GroundworkError({
      code: "stack-is-busy",
      message: `Stack "${context.stack}" is in use by process ${String(first.pid)} on ${first.hostname} since ${first.timestamp}.`,
      next: `Wait for it, or end it; if it is gone for certain, run \`eval "$(make -s env)"; npx pulumi cancel -s ${context.stack}\`.`,
    });
  for (const lock of stale) {
    report(`removing the lock of process ${String(lock.pid)}, which is gone`);
    await fs.rm(lock.file, { force: true });
    await fs.rm(`${lock.file}.attrs`, { force: true });
  }
}

const commands = {
  domain: {
    list: ["list", "--all", "--name"],
    read: ["dumpxml"],
    stop: ["destroy"],
    remove: ["undefine", "--nvram", "--managed-save", "--snapshots-metadata"],
  },
  network: {
    list: ["net-list", "--all", "--name"],
    read: ["net-dumpxml"],
    stop: ["net-destroy"],
    remove: ["net-undefine"],
  },
  pool: {
    list: ["pool-list", "--all", "--name"],
    read: ["pool-dumpxml"],
    stop: ["pool-destroy"],
    remove: ["pool-undefine"],
  },
  volume: { list: ["vol-list"], read: ["vol-dumpxml"], stop: undefined, remove: ["vol-delete"] },
} as const;

/** Removes what an interrupted create left on the hypervisor, if it is that indeed. */
async function removeLeftover(leftover: Leftover, report: Report): Promise<void> {
  const { kind, name, uri } = leftover;
  const { list, read, stop, remove } = commands[kind];
  const pool = leftover.pool === undefined ? [] : ["--pool", leftover.pool];
  const listed = await runVirsh(uri, [...list, ...pool]);
  if (!listed.split("\n").some((line) => line.trim().split(/\s+/)[0] === name)) return;
  const xml = await runVirsh(uri, [...read, name, ...pool]);
  if (!leftover.evidence.every((wanted) => xml.includes(wanted))) {
    report(`${kind} ${name} is not what the interrupted run was to create; it stays`);
    return;
  }
  report(`removing ${kind} ${name}, which the interrupted run had begun`);
  if (stop !== undefined) await runVirsh(uri, [...stop, name]).catch(() => undefined); // not running
  await runVirsh(uri, [...remove, name, ...pool]);
}

/**
 * Settles the operations that were under way when Pulumi was killed, so that the next one starts
 * from a state that is true: half-made libvirt objects go, pending creates are forgotten (Pulumi
 * would carry them along for ever), and what was being changed is asked anew.
 */
export async function settlePending(
  context: Context,
  stack: automation.Stack,
  report: Report,
): Promise<void> {
  if (!(await mayBeInterrupted(context))) return;
  const exported = await runPulumi(context, ["stack", "export", "--stack", context.stack]);
  const plan = planPending(exportSchema.parse(JSON.parse(exported)));
  if (plan === undefined) return;
  for (const operation of plan.operations) report(`was interrupted: ${operation}`);
  for (const leftover of plan.leftovers) await removeLeftover(leftover, report);
  const file = path.join(context.home, `.import-${context.stack}.json`);
  try {
    await fs.writeFile(file, JSON.stringify(plan.cleaned), { mode: 0o600 });
    await runPulumi(context, ["stack", "import", "--stack", context.stack, "--file", file]);
  } finally {
    await fs.rm(file, { force: true });
  }
  if (plan.refresh.length > 0)
    await stack.refresh({ target: plan.refresh, onOutput: report, suppressProgress: true });
}

import type { Command } from "commander";
import {
  createSnapshot,
  deleteSnapshot,
  readSnapshots,
  revertSnapshot,
} from "../providers/volume-snapshot/effects/snapshots.ts";
import { type CommonOptions, createCommand, progressFor, runCommand } from "./lib/cli.ts";
import { readContext } from "./lib/context.ts";
import { machinesOf } from "./lib/machines.ts";
import { type LocatedMachine, requireMachine } from "./lib/machines-plan.ts";
import { buildSnapshotRow, describeSnapshots } from "./lib/snapshot-report.ts";

interface Options extends CommonOptions {
  description?: string;
  stop?: boolean;
  live?: boolean;
}

const nowSeconds = (): number => Math.floor(Date.now() / 1000);

function print({ json, stack }: Options, result: object, lines: readonly string[]): void {
  process.stdout.write(
    json ? `${JSON.stringify({ stack, ...result })}\n` : lines.map((line) => `${line}\n`).join(""),
  );
}

async function machineOf(options: Options, name: string): Promise<LocatedMachine> {
  return requireMachine(machinesOf(await readContext(options.stack)), name);
}

async function create(options: Options, machineName: string, name: string): Promise<void> {
  const machine = await machineOf(options, machineName);
  const { description = "", stop = false, live = false } = options;
  const { report, phase } = progressFor(options);
  const { shutdownTimeoutSeconds } = machine;
  const hold = stop ? "stop" : live ? "live" : "pause";
  const wish = { name, description, hold, nowSeconds: nowSeconds() } as const;
  const taken = await phase(`Snapshot ${name} of ${machineName}`, () =>
    createSnapshot(machine.uri, machine, wish, { shutdownTimeoutSeconds, report }),
  );
  const row = buildSnapshotRow(taken, nowSeconds());
  print(options, { snapshot: row }, describeSnapshots([row]));
}

async function list(options: Options, only?: string): Promise<void> {
  const all = machinesOf(await readContext(options.stack));
  const machines = only === undefined ? all : [requireMachine(all, only)];
  const rows = [];
  for (const uri of new Set(machines.map((machine) => machine.uri))) {
    const here = machines.filter((machine) => machine.uri === uri);
    const found = await readSnapshots(uri, here[0]?.owner ?? "");
    rows.push(
      ...found
        .filter(({ machine }) => here.some((each) => each.machine === machine))
        .map((snapshot) => buildSnapshotRow(snapshot, nowSeconds())),
    );
  }
  print(options, { snapshots: rows }, describeSnapshots(rows));
}

async function revert(options: Options, machineName: string, name: string): Promise<void> {
  const machine = await machineOf(options, machineName);
  const { report, phase } = progressFor(options);
  const { shutdownTimeoutSeconds } = machine;
  const wish = { name, stop: options.stop ?? false };
  const { snapshot, untouched } = await phase(`Back to ${name} of ${machineName}`, () =>
    revertSnapshot(machine.uri, machine, wish, { shutdownTimeoutSeconds, report }),
  );
  const row = buildSnapshotRow(snapshot, nowSeconds());
  print(options, { snapshot: row, untouched }, [
    `${machineName} has the content of snapshot ${name}, taken ${row.taken}.`,
    ...untouched.map((volume) => `${volume} is not in it and stays as it was.`),
  ]);
}

async function remove(options: Options, machineName: string, name: string): Promise<void> {
  const machine = await machineOf(options, machineName);
  const { report, phase } = progressFor(options);
  await phase(`Deleting snapshot ${name} of ${machineName}`, () =>
    deleteSnapshot(machine.uri, machine, name, { report }),
  );
  print(options, { machine: machineName, deleted: name }, []);
}

const program = createCommand("snapshot", "The content of a machine's disks at some time.", [
  "make snapshot ARGS=\"create vm1 before --description 'Before the upgrade'\"",
  'make snapshot ARGS="list"',
  'make snapshot ARGS="revert vm1 before --stop"      what was written since is lost',
  'make snapshot ARGS="delete vm1 before"',
]);

/** Hands an action the options of all programs beside its own, then its arguments. */
const run =
  (action: (options: Options, ...names: string[]) => Promise<void>) =>
  (...given: unknown[]): Promise<void> => {
    const command = given.at(-1) as Command;
    return action(command.optsWithGlobals(), ...command.args);
  };
const named = (name: string, description: string): Command =>
  program
    .command(name)
    .description(description)
    .argument("<machine>", "as in groundwork:machines")
    .argument("<name>", "lower-case letters, digits and inner hyphens");

named(
  "create",
  "Takes one. A running machine is kept at rest meanwhile, by its agent or else paused.",
)
  .option("--description <text>", "one line, shown by list")
  .option("--stop", "shut the machine down for it, and start it again")
  .option("--live", "do not even pause it; for a machine with one thin volume only")
  .action(run((options, machine = "", name = "") => create(options, machine, name)));
program
  .command("list")
  .description("Lists them with age, size, description, and how the machine was kept at rest.")
  .argument("[machine]", "only those of this machine")
  .action(run(list));
named("revert", "Brings the content back. The snapshot stays, what was written since is lost.")
  .option("--stop", "shut a running machine down for it, and start it again")
  .action(run((options, machine = "", name = "") => revert(options, machine, name)));
named("delete", "Deletes one, whole or interrupted.").action(
  run((options, machine = "", name = "") => remove(options, machine, name)),
);

await runCommand(program);

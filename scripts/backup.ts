import * as os from "node:os";
import { type Command, InvalidArgumentError, Option } from "commander";
import { GroundworkError } from "../providers/errors.ts";
import type { Retention } from "../providers/volume-backup/core/retention-plan.ts";
import {
  createBackups,
  pruneBackups,
  readBackups,
  removeBackup,
} from "../providers/volume-backup/effects/backups.ts";
import { describeBackups, describePruned, describeRestore } from "./lib/backup-report.ts";
import {
  isTime,
  planEnvironment,
  renderCron,
  renderUnits,
  type Schedule,
  unitName,
} from "./lib/backup-schedule-plan.ts";
import { installUnits, removeUnits, requireCalendar, unitFolder } from "./lib/systemd.ts";
import { type CommonOptions, createCommand, progressFor, runCommand } from "./lib/cli.ts";
import { type Context, readContext } from "./lib/context.ts";
import { machinesOf, ownerOf } from "./lib/machines.ts";
import { requireMachine } from "./lib/machines-plan.ts";
import { trimMachine } from "./lib/virsh.ts";

interface Options extends CommonOptions {
  snapshot?: string;
  stop?: boolean;
  trim?: boolean;
  keepCount?: number;
  keepDays?: number;
  dryRun?: boolean;
  at?: string;
  format?: "systemd" | "cron";
  install?: boolean;
  remove?: boolean;
}

const nowSeconds = (): number => Math.floor(Date.now() / 1000);

function print({ json, stack }: Options, result: object, lines: readonly string[]): void {
  process.stdout.write(
    json ? `${JSON.stringify({ stack, ...result })}\n` : lines.map((line) => `${line}\n`).join(""),
  );
}

function retentionOf({ keepCount, keepDays }: Options): Retention {
  return {
    ...(keepCount !== undefined && { maxCount: keepCount }),
    ...(keepDays !== undefined && { maxAgeSeconds: keepDays * 86_400 }),
  };
}

function volumesOf(context: Context, only?: string): string[] {
  const all = machinesOf(context);
  const machines = only === undefined ? all : [requireMachine(all, only)];
  return machines.flatMap(({ volumes }) => volumes.map(({ volumeName }) => volumeName));
}

const imagesInUse = ({ config }: Context): string[] => config.images.map(({ name }) => name);

async function create(options: Options, name = ""): Promise<void> {
  const context = await readContext(options.stack);
  const machine = requireMachine(machinesOf(context), name);
  const { report, phase } = progressFor(options);
  const { shutdownTimeoutSeconds } = machine;
  const made = await phase(`Backup of ${name}`, async () => {
    if (options.trim !== false && options.snapshot === undefined)
      report(await trimMachine(machine.uri, name));
    return createBackups(machine.uri, machine, {
      ...{ store: context.config.objectStore, nowSeconds: nowSeconds(), sealed: false, report },
      ...{ hold: options.stop === true ? "stop" : "pause", shutdownTimeoutSeconds },
      ...(options.snapshot !== undefined && { snapshot: options.snapshot }),
    });
  });
  const retention = retentionOf(options);
  const pruned =
    Object.keys(retention).length === 0
      ? []
      : await pruneBackups(context.config.objectStore, volumesOf(context, name), retention, {
          ...{ owner: machine.owner, inUse: imagesInUse(context), nowSeconds: nowSeconds() },
        });
  print(options, { backups: made, pruned: pruned.map(({ backup }) => backup.image) }, [
    ...describeBackups(made, [], nowSeconds()),
    ...(pruned.length === 0 ? [] : describePruned(pruned, false)),
    ...made.slice(0, 1).flatMap(({ image, volume }) => describeRestore(image, volume)),
  ]);
}

async function list(options: Options, only?: string): Promise<void> {
  const context = await readContext(options.stack);
  const backups = await readBackups(context.config.objectStore, volumesOf(context, only));
  print(options, { backups }, describeBackups(backups, imagesInUse(context), nowSeconds()));
}

async function prune(options: Options, only?: string): Promise<void> {
  const context = await readContext(options.stack);
  const { dryRun = false } = options;
  const retention = retentionOf(options);
  if (Object.keys(retention).length === 0)
    throw new GroundworkError({
      code: "no-retention",
      message: "Nothing says what is kept.",
      next: "Give --keep-count, --keep-days or both.",
    });
  const goes = await pruneBackups(context.config.objectStore, volumesOf(context, only), retention, {
    owner: ownerOf(context),
    inUse: imagesInUse(context),
    nowSeconds: nowSeconds(),
    dryRun,
  });
  print(options, { dryRun, pruned: goes }, describePruned(goes, dryRun));
}

async function remove(options: Options, image = ""): Promise<void> {
  const context = await readContext(options.stack);
  const { objectStore } = context.config;
  const found = (await readBackups(objectStore, volumesOf(context))).some(
    (backup) => backup.image === image,
  );
  if (!found || imagesInUse(context).includes(image))
    throw new GroundworkError({
      code: found ? "backup-in-use" : "backup-missing",
      message: found
        ? `The stack file names backup "${image}" in groundwork:images.`
        : `There is no backup "${image}" of this stack's machines.`,
      next: found ? "Take it out there first." : 'See `make backup ARGS="list"`.',
    });
  await removeBackup(objectStore, image, ownerOf(context));
  print(options, { removed: image }, [`${image} is removed`]);
}

async function schedule(options: Options, name = ""): Promise<void> {
  const environment = planEnvironment({ ...process.env, HOME: os.homedir() });
  const context = await readContext(options.stack);
  const { machine } = requireMachine(machinesOf(context), name);
  const { format = "systemd", keepCount, keepDays } = options;
  const at = options.at ?? (format === "systemd" ? "*-*-* 03:00:00" : "0 3 * * *");
  if (!isTime(format, at))
    throw new GroundworkError({
      code: "bad-time",
      message: `Cannot use "${at}" as a time for ${format}.`,
      next:
        format === "systemd"
          ? 'Write one of systemd.time(7), such as "*-*-* 03:00:00" or "Mon 04:30".'
          : 'Write five fields of crontab(5), such as "0 3 * * *".',
    });
  const wanted: Schedule = {
    ...{ stack: context.stack, machine, checkout: context.checkout, at, environment },
    options: [
      ...(keepCount === undefined ? [] : ["--keep-count", String(keepCount)]),
      ...(keepDays === undefined ? [] : ["--keep-days", String(keepDays)]),
    ],
  };
  const units = renderUnits(wanted);
  const timer = `${unitName(wanted)}.timer`;
  if (options.remove === true) {
    await removeUnits(Object.keys(units), timer);
    print(options, { removed: Object.keys(units) }, [`${timer} is removed`]);
    return;
  }
  if (options.install !== true) {
    const text =
      format === "cron"
        ? [renderCron(wanted).trimEnd()]
        : Object.entries(units).flatMap(([file, content]) => [`# ${unitFolder}/${file}`, content]);
    print(options, format === "cron" ? { cron: text[0] } : { units }, text);
    return;
  }
  if (format === "cron")
    throw new GroundworkError({
      code: "bad-option",
      message: "--install is for systemd only.",
      next: "Put the printed line into your crontab with `crontab -e`.",
    });
  await requireCalendar(at);
  await installUnits(units, timer);
  print(options, { installed: Object.keys(units) }, [`${timer} runs at ${at}`]);
}

const number = (text: string): number => {
  if (/^[0-9]{1,5}$/.test(text) && Number(text) > 0) return Number(text);
  throw new InvalidArgumentError("It must be a whole number, 1 or more.");
};

const program = createCommand(
  "backup",
  "Machines' disks in the object store, to make others from.",
  [
    'make backup ARGS="create vm1 --keep-count 7"        now; the newest seven stay',
    'make backup ARGS="list"',
    'make backup ARGS="prune --keep-days 30 --dry-run"   what would go',
    'make backup ARGS="schedule vm1 --keep-count 7 --install"',
  ],
);
const run =
  (action: (options: Options, ...names: string[]) => Promise<void>) =>
  (...given: unknown[]): Promise<void> => {
    const command = given.at(-1) as Command;
    return action(command.optsWithGlobals(), ...command.args);
  };
const withRetention = (command: Command): Command =>
  command
    .option("--keep-count <count>", "the newest of each volume that stay", number)
    .option("--keep-days <days>", "what is older goes, but never the newest", number);

withRetention(program.command("create").description("Backs up all disks of a machine."))
  .argument("<machine>", "as in groundwork:machines")
  .option("--snapshot <name>", "of this snapshot, instead of one that is taken for it")
  .option("--stop", "shut the machine down while that is taken, instead of pausing it")
  .option("--no-trim", "do not ask the guest first to give back what it does not use")
  .action(run(create));
program
  .command("list")
  .description("Lists backups, the oldest first.")
  .argument("[machine]", "only those of this machine")
  .action(run(list));
withRetention(program.command("prune").description("Removes what exceeds the limits."))
  .argument("[machine]", "only those of this machine")
  .option("--dry-run", "only say what would go")
  .action(run(prune));
program
  .command("delete")
  .description("Removes one backup.")
  .argument("<image>", "its name, as list shows it")
  .action(run(remove));
withRetention(program.command("schedule").description("Prints what takes backups regularly."))
  .argument("<machine>", "as in groundwork:machines")
  .option("--at <time>", "when (default: every day at three)")
  .addOption(
    new Option("--format <format>", "for whom").choices(["systemd", "cron"]).default("systemd"),
  )
  .option("--install", "write systemd's units to /etc and switch the timer on")
  .option("--remove", "the reverse")
  .action(run(schedule));

await runCommand(program);

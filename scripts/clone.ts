import * as fs from "node:fs/promises";
import type { Command } from "commander";
import { createBackups, removeBackup } from "../providers/volume-backup/effects/backups.ts";
import { parseConfig } from "../config.ts";
import { type CommonOptions, createCommand, progressFor, runCommand } from "./lib/cli.ts";
import { addClone, planCloneAddresses } from "./lib/clone-plan.ts";
import { parseStackFile, readContext } from "./lib/context.ts";
import { machinesOf } from "./lib/machines.ts";
import { requireMachine } from "./lib/machines-plan.ts";
import { trimMachine } from "./lib/virsh.ts";

interface Options extends CommonOptions {
  address?: string[];
  stop?: boolean;
  write?: boolean;
}

async function clone(from: string, to: string, options: Options): Promise<void> {
  const context = await readContext(options.stack);
  const { config, stackFile } = context;
  const addresses = planCloneAddresses(config, { from, to, addresses: options.address ?? [] });
  const machine = requireMachine(machinesOf(context), from);
  const { report, phase } = progressFor(options);
  const { shutdownTimeoutSeconds, uri } = machine;
  const before = await fs.readFile(stackFile, "utf8");
  // What the stack file would say is checked before any work is done.
  const wish = { from, to, addresses };
  parseConfig(parseStackFile(addClone(before, { ...wish, image: "checked" }).text, stackFile));

  const [made] = await phase(`Sealed image of ${from}`, async () => {
    report(await trimMachine(uri, from));
    return createBackups(uri, machine, {
      ...{ store: config.objectStore, sealed: true, report, shutdownTimeoutSeconds },
      ...{ hold: options.stop === true ? "stop" : "pause" },
      nowSeconds: Math.floor(Date.now() / 1000),
    });
  });
  if (made === undefined) throw new Error("no image was made");
  const { text, entries } = addClone(before, { ...wish, image: made.image });
  if (options.write === true) {
    if ((await fs.readFile(stackFile, "utf8")) !== before) {
      await removeBackup(config.objectStore, made.image, machine.owner);
      throw new Error(`${stackFile} was changed meanwhile; run the same command again`);
    }
    const draft = `${stackFile}.part`;
    await fs.writeFile(draft, text);
    await fs.rename(draft, stackFile);
  }
  const further = machine.volumes.length - 1;
  const lines = [
    ...(options.write === true
      ? [`${stackFile} has ${to} now:`]
      : ["Add to the stack file, or run this with --write:"]),
    ...entries.trimEnd().split("\n"),
    ...(further > 0 ? [`The further volumes of ${to} begin empty.`] : []),
    "Then `make up` makes it.",
  ];
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ stack: options.stack, image: made, addresses, written: options.write === true })}\n`
      : lines.map((line) => `${line}\n`).join(""),
  );
}

const collect = (text: string, before: string[] = []): string[] => [...before, text];

await runCommand(
  createCommand(
    "clone",
    "Makes an image of a machine without its identity, and an entry for another.",
    ["make clone M=vm1 TO=vm2", 'make clone M=vm1 TO=vm2 ARGS="--write" && make up'],
  )
    .argument("<from>", "the machine (M=)")
    .argument("<to>", "the new one's name (TO=)")
    .option(
      "--address <address>",
      "of the new machine, once for each network (default: free ones)",
      collect,
    )
    .option("--stop", "shut the machine down meanwhile, instead of pausing it")
    .option("--write", "add the entry to the stack file, instead of printing it")
    .action((from: string, to: string, _options: unknown, command: Command) =>
      clone(from, to, command.optsWithGlobals()),
    ),
);

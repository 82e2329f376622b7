import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseDocument } from "yaml";
import { readProcesses } from "../../scripts/lib/processes.ts";
import type { CheckoutCopy, Outcome, Running } from "./checkout-copy.ts";
import { worksIn } from "./scratch.ts";

const checkout = path.resolve(import.meta.dirname, "../..");

/** Names that no other lab on this machine uses. */
export interface LabNames {
  /** Namespace, volume group and network. */
  name: string;
  machine: string;
  /** Port of the object store on 127.0.0.1. */
  port: number;
}

type Keys = readonly (string | number)[];

/** Changes values in a stack file; the rest stays as it is. */
export function editStackFile(text: string, edits: readonly (readonly [Keys, unknown])[]): string {
  const document = parseDocument(text);
  for (const [[section, ...keys], value] of edits)
    document.setIn(["config", `groundwork:${String(section)}`, ...keys], value);
  return document.toString();
}

/** Pulumi.local.yaml with names, port and subnet of a test's own. */
export function renderStackFile({ name, machine, port }: LabNames): string {
  const text = fs.readFileSync(path.join(checkout, "Pulumi.local.yaml"), "utf8");
  return editStackFile(text.replace(/^encryptionsalt:.*\n/m, ""), [
    [["embedded", "name"], name],
    [["embedded", "volumeGroupSizeGiB"], 12],
    [["objectStore", "endpoint"], `http://127.0.0.1:${String(port)}`],
    [["hypervisors", 0, "volumeGroup"], name],
    [["networks", 0, "name"], name],
    [["networks", 0, "cidr"], "192.168.177.0/24"],
    [["machines", 0, "name"], machine],
    [["machines", 0, "networks", 0, "network"], name],
    [["machines", 0, "networks", 0, "address"], "192.168.177.10"],
  ]);
}

/** The output of a command that must succeed. */
export async function succeed(running: Running | Promise<Outcome>): Promise<string> {
  const { exitCode, output } = await ("done" in running ? running.done : running);
  assert.equal(exitCode, 0, output.split("\n").slice(-60).join("\n"));
  return output;
}

/** The last line of an output, which the program printed for other programs. */
export function parseLastLine(output: string): unknown {
  return JSON.parse(output.trimEnd().split("\n").at(-1) ?? "");
}

/** Whether a program runs whose command line has all these words in it. */
export function isRunning(...words: readonly string[]): boolean {
  return fs.readdirSync("/proc").some((pid) => {
    try {
      const command = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      return words.every((word) => command.includes(word));
    } catch {
      return false; // no process, or one that ended meanwhile
    }
  });
}

type Condition = (output: string) => boolean;

/** Starts `make up` and returns once the condition holds; fails when `make up` ends before. */
export async function upUntil(
  lab: CheckoutCopy,
  what: string,
  condition: Condition,
): Promise<Running> {
  const up = lab.make("up");
  await waitDuring(up, what, condition);
  return up;
}

async function waitDuring(up: Running, what: string, condition: Condition): Promise<void> {
  while (!condition(up.output())) {
    const ended = await Promise.race([up.done.then(() => true), sleep(15, false)]);
    assert.ok(!ended, `make up ended before ${what}:\n${up.output().slice(-4000)}`);
  }
}

async function findProcess(
  lab: CheckoutCopy,
  what: string,
  matches: (command: readonly string[]) => boolean,
): Promise<number> {
  const found = (await readProcesses()).find(
    ({ pid, command }) => matches(command) && worksIn(lab.folder, pid),
  );
  assert.ok(found !== undefined, what);
  return found.pid;
}

/** Starts `make up` and kills Pulumi with -9 once the condition holds; returns when make has ended. */
export async function killDuringUp(
  lab: CheckoutCopy,
  what: string,
  condition: Condition,
): Promise<void> {
  const up = await upUntil(lab, what, condition);
  const pulumi = await findProcess(
    lab,
    `no pulumi runs while ${what}`,
    ([file = "", verb]) => path.basename(file) === "pulumi" && verb === "up",
  );
  process.kill(pulumi, "SIGKILL");
  const { exitCode } = await up.done;
  assert.notEqual(exitCode, 0, "make up cannot succeed when its pulumi is killed");
}

/** As `killDuringUp`, with Ctrl-C pressed twice: stop gently, and then at once. */
export async function interruptDuringUp(
  lab: CheckoutCopy,
  what: string,
  condition: Condition,
): Promise<void> {
  const up = await upUntil(lab, what, condition);
  const program = await findProcess(lab, `no program runs while ${what}`, (command) =>
    command.some((word) => word.endsWith("scripts/up.ts")),
  );
  for (const advice of [/Press Ctrl-C again/, /Stopping at once/]) {
    process.kill(program, "SIGINT");
    await waitDuring(up, `it said ${String(advice)}`, (output) => advice.test(output));
  }
  const { exitCode, output } = await up.done;
  assert.notEqual(exitCode, 0);
  assert.match(output, /was interrupted. Run `make up` to go on/);
}

import * as fs from "node:fs/promises";
import * as path from "node:path";
import { ensureEmbedded, stopEmbedded } from "../embedded/index.ts";
import { GroundworkError } from "../providers/errors.ts";
import { removeSshFiles } from "../providers/machine-ready/effects/ssh-files.ts";
import { type CommonOptions, createCommand, progressFor, runCommand } from "./lib/cli.ts";
import { type Context, mayUseEmbedded, readContext, refreshContext } from "./lib/context.ts";
import { type DownPlan, planDown } from "./lib/down-plan.ts";
import { embeddedOptions, readEmbeddedState } from "./lib/embedded.ts";
import { lineSplitter } from "./lib/phases.ts";
import { pulumiLines } from "./lib/pulumi-lines.ts";
import { clearRemains, settlePending } from "./lib/recover.ts";
import { removeKubeFiles } from "./lib/kube-files.ts";
import { readNames } from "./lib/files.ts";
import { hasEncrypted } from "./lib/stack-file.ts";
import { removeHome } from "./lib/remove-home.ts";
import { forgetStack, openStack, readStacks } from "./lib/stack.ts";

type Report = (line: string) => void;

async function readPlan(
  context: Context,
  stacks: readonly string[],
  others: readonly string[],
): Promise<DownPlan> {
  const sharing = await Promise.all(others.map(mayUseEmbedded));
  const { facts, answers } = await readEmbeddedState(embeddedOptions(context));
  return planDown({
    config: context.config,
    hasState: stacks.includes(context.stack),
    embeddedIsShared: sharing.includes(true),
    embedded: facts && {
      hypervisor: facts.hypervisor.kind,
      volumeGroup: facts.volumeGroup.kind,
    },
    hypervisorAnswers: answers,
  });
}

async function destroyResources(given: Context, plan: DownPlan, report: Report): Promise<void> {
  const options = embeddedOptions(given);
  if (plan.startEmbedded && options !== undefined) {
    report("starting the hypervisor, which is needed to remove what lies on it");
    await ensureEmbedded(options, report);
  }
  const context = await refreshContext(given);
  const stack = await openStack(context, report);
  await settlePending(context, stack, report);
  const output = lineSplitter(pulumiLines(report));
  await stack.destroy({
    suppressProgress: true,
    suppressOutputs: true,
    onOutput: output.write,
    onError: output.write,
  });
  output.end();
}

/** Removes what the stack made, and its state. */
async function removeStack(context: Context, plan: DownPlan, report: Report): Promise<void> {
  if (plan.resources === "nothing") report("there is no state");
  if (plan.resources === "forget")
    report("the hypervisor is not running; what lies on it goes with it");
  if (plan.resources !== "destroy") {
    await forgetStack(context, true);
    return;
  }
  try {
    await destroyResources(context, plan, report);
    await forgetStack(context, false);
  } catch (error) {
    const interrupted = error instanceof GroundworkError && error.code === "interrupted";
    if (interrupted || !plan.disposable) throw error;
    report((error as Error).message);
    report("what is left goes with the hypervisor that it lies on");
    await forgetStack(context, true);
  }
}

/** Names of the stack files with values that the passphrase opens. */
async function listEncrypted(folder: string): Promise<string[]> {
  const names = ((await readNames(folder)) ?? []).filter((name) => /^Pulumi\..+\.yaml$/.test(name));
  const texts = await Promise.all(
    names.map((name) => fs.readFile(path.join(folder, name), "utf8")),
  );
  return names.filter((_, index) => hasEncrypted(texts[index] ?? ""));
}

async function down(options: CommonOptions): Promise<void> {
  const progress = progressFor(options);
  const { report } = progress;
  const context = await readContext(options.stack);
  const stacks = await readStacks(context);
  const others = stacks.filter((stack) => stack !== context.stack);
  const plan = await readPlan(context, stacks, others);
  await progress.phase(`Stack ${context.stack}`, async () => {
    await clearRemains(context, report);
    await removeStack(context, plan, report);
  });
  await removeSshFiles(context);
  await removeKubeFiles(context.home, context.stack);
  const embedded = embeddedOptions(context);
  if (embedded !== undefined && plan.stopEmbedded)
    await progress.phase("Hypervisor and object store", () => stopEmbedded(embedded, report));
  let kept: string[] = [];
  if (others.length > 0) report(`${context.home} stays for stack ${others.join(", ")}`);
  else {
    const files = await listEncrypted(context.checkout);
    if (files.length > 0)
      report(`the passphrase stays: it opens encrypted values in ${files.join(", ")}`);
    kept = await removeHome(context.home, files.length > 0 ? ["passphrase"] : []);
  }
  for (const name of kept) report(`${path.join(context.home, name)} is not ours and stays`);
  if (options.json)
    process.stdout.write(`${JSON.stringify({ stack: context.stack, phases: progress.timings })}\n`);
}

await runCommand(
  createCommand("down", "Destroys the stack and all that `make up` started for it.", [
    "make down                     the lab of Pulumi.local.yaml",
    "make down STACK=sandbox       that of Pulumi.sandbox.yaml",
  ]).action(down),
);

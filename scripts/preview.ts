import { type CommonOptions, createCommand, progressFor, runCommand } from "./lib/cli.ts";
import { type Context, readContext } from "./lib/context.ts";
import { embeddedOptions, readEmbeddedState } from "./lib/embedded.ts";
import { type ImagePlan, parseImagePlans, renderImagePlans } from "./lib/image-plans.ts";
import { lineSplitter, type Progress } from "./lib/phases.ts";
import { clearRemains } from "./lib/recover.ts";
import { openStack } from "./lib/stack.ts";

interface PreviewResult {
  stack: string;
  /** Number of resources by Pulumi's word for the change: create, update, same, … */
  changes: Record<string, number>;
  images: ImagePlan[];
}

/** What `make up` would make, where there is no hypervisor yet that Pulumi could ask. */
function describeFirstUp({ config }: Context): string[] {
  const list = (things: readonly { name: string }[]): string =>
    things.map(({ name }) => name).join(", ") || "none";
  return [
    "The hypervisor of this stack is not running, so there is nothing yet to compare with.",
    "`make up` would start the hypervisor, volume group and object store that are missing here, then make",
    `  images    ${list(config.images)}`,
    `  networks  ${list(config.networks)}`,
    `  machines  ${list(config.machines)}`,
    `  clusters  ${list(config.clusters)}`,
  ];
}

async function askPulumi(context: Context, progress: Progress): Promise<PreviewResult> {
  const images: ImagePlan[] = [];
  const stack = await openStack(context, progress.report);
  const output = lineSplitter(progress.report);
  const { changeSummary } = await stack.preview({
    diff: true,
    suppressProgress: true,
    onOutput: output.write,
    onError: output.write,
    onEvent: (event) => {
      images.push(...parseImagePlans(event));
    },
  });
  output.end();
  return { stack: context.stack, changes: changeSummary, images };
}

async function preview(options: CommonOptions): Promise<void> {
  const progress = progressFor(options);
  const context = await readContext(options.stack);
  const embedded = embeddedOptions(context);
  if (embedded !== undefined && !(await readEmbeddedState(embedded)).answers) {
    const empty = { stack: context.stack, changes: {}, images: [] } satisfies PreviewResult;
    process.stdout.write(
      options.json
        ? `${JSON.stringify({ ...empty, running: false })}\n`
        : `${describeFirstUp(context).join("\n")}\n`,
    );
    return;
  }
  const result = await progress.phase(`Preview of stack ${context.stack}`, async () => {
    await clearRemains(context, progress.report);
    return askPulumi(context, progress);
  });
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ ...result, running: true })}\n`
      : renderImagePlans(result.images)
          .map((line) => `${line}\n`)
          .join(""),
  );
}

await runCommand(
  createCommand("preview", "Shows what `make up` would change, and changes nothing.", [
    "make preview                       every change, and what each volume and cache costs",
    "make -s preview ARGS=--json        the same for a script",
  ]).action(preview),
);

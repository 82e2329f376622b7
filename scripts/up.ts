import { ensureEmbedded } from "../embedded/index.ts";
import { ensureSshFiles } from "../providers/machine-ready/effects/ssh-files.ts";
import { type CommonOptions, createCommand, progressFor, runCommand } from "./lib/cli.ts";
import { ensureContainerImages } from "./lib/container-images.ts";
import { type Context, readContext, refreshContext } from "./lib/context.ts";
import { embeddedOptions } from "./lib/embedded.ts";
import { ensureImages } from "./lib/images.ts";
import { checkMachine } from "./lib/machine-check.ts";
import { parseOutputs, type SshOutput } from "./lib/outputs.ts";
import { lineSplitter, type Progress } from "./lib/phases.ts";
import { pulumiLines } from "./lib/pulumi-lines.ts";
import { clearRemains, settlePending } from "./lib/recover.ts";
import { setUp } from "./lib/set-up.ts";
import { openStack } from "./lib/stack.ts";
import { renderSummary } from "./lib/summary.ts";

async function startEmbedded(context: Context, progress: Progress): Promise<Context> {
  const options = embeddedOptions(context);
  if (options === undefined) return context;
  await progress.phase("Hypervisor and object store", () =>
    ensureEmbedded(options, progress.report),
  );
  return refreshContext(context);
}

/** They are written as machines become ready; this is for files that were removed since. */
async function writeSshFiles({ home, stack }: Context, ssh: SshOutput): Promise<void> {
  const networkNamespace = process.env["GROUNDWORK_NETWORK_NAMESPACE"];
  await ensureSshFiles({ home, stack, ...ssh, networkNamespace });
}

async function up(options: CommonOptions): Promise<void> {
  const progress = progressFor(options);
  const given = await readContext(options.stack);
  await progress.phase("This machine", async () => {
    await checkMachine(given, progress.report);
    await clearRemains(given, progress.report);
  });
  const context = await startEmbedded(given, progress);
  if (context.config.images.length > 0)
    await progress.phase("Images", () => ensureImages(context, progress.report));
  if (context.config.observability?.images === "build") {
    await progress.phase("Tools for container images", () =>
      setUp("observability", progress.report),
    );
    await progress.phase("Container images", () => ensureContainerImages(context, progress.report));
  }
  const { lab } = await progress.phase(`Stack ${context.stack}`, async () => {
    const stack = await openStack(context, progress.report);
    await settlePending(context, stack, progress.report);
    const output = lineSplitter(pulumiLines(progress.report));
    const result = await stack.up({
      suppressProgress: true,
      suppressOutputs: true,
      onOutput: output.write,
      onError: output.write,
    });
    output.end();
    const outputs = parseOutputs(result.outputs);
    if (outputs.ssh !== undefined) await writeSshFiles(context, outputs.ssh);
    return outputs;
  });
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ stack: context.stack, ...lab, phases: progress.timings })}\n`
      : `${renderSummary(context.stack, lab, progress.timings).join("\n")}\n`,
  );
}

await runCommand(
  createCommand("up", "Makes the lab that the stack file describes, from whatever is there.", [
    "make up                       the lab of Pulumi.local.yaml",
    "make up STACK=sandbox         that of Pulumi.sandbox.yaml",
    "make -s up ARGS=--json        the result as JSON, for a script",
  ]).action(up),
);

import { automation } from "@pulumi/pulumi";
import { execa } from "execa";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { z } from "zod";
import { GroundworkError, tail } from "../../providers/errors.ts";
import { type Context, project } from "./context.ts";
import { readNames } from "./files.ts";
import { openPulumiCommand } from "./pulumi-command.ts";
import { hasEncrypted, keepLayout, withoutSalt } from "./stack-file.ts";
import { pulumiRoot } from "./tools-paths.ts";

/** Runs a short command of the CLI, such as `stack export`, and returns its standard output. */
export async function runPulumi(context: Context, args: readonly string[]): Promise<string> {
  const result = await execa(path.join(pulumiRoot(context.environment), "bin", "pulumi"), args, {
    cwd: context.checkout,
    env: context.environment,
    stdin: "ignore",
    reject: false,
  });
  if (result.exitCode === 0) return result.stdout;
  throw new GroundworkError({
    code: "pulumi-failed",
    message: `\`pulumi ${args.slice(0, 2).join(" ")}\` failed: ${tail(result.stderr === "" ? (result.shortMessage ?? "") : result.stderr, 3)}.`,
    next: "Mend what the message names, then run the same command again.",
  });
}

function checkpoints(context: Context): string {
  return path.join(context.home, "state", ".pulumi", "stacks", project);
}

const checkpointSchema = z.object({
  checkpoint: z.object({
    latest: z.object({ pending_operations: z.array(z.unknown()).optional() }).optional(),
  }),
});

/** Whether the state may list operations under way; the CLI would take half a second to tell. */
export async function mayBeInterrupted(context: Context): Promise<boolean> {
  try {
    const text = await fs.readFile(
      path.join(checkpoints(context), `${context.stack}.json`),
      "utf8",
    );
    const { latest } = checkpointSchema.parse(JSON.parse(text)).checkpoint;
    return (latest?.pending_operations ?? []).length > 0;
  } catch {
    return true; // the CLI knows what to say of a file like this
  }
}

/** The stacks in the backend of this checkout, without asking the CLI. */
export async function readStacks(context: Context): Promise<string[]> {
  const names = (await readNames(checkpoints(context))) ?? [];
  return names.filter((name) => name.endsWith(".json")).map((name) => name.slice(0, -5));
}

/** Opens the stack through the Automation API; makes it when it is missing. */
export async function openStack(
  context: Context,
  say: (line: string) => void,
): Promise<automation.Stack> {
  const pulumiCommand = await openPulumiCommand(pulumiRoot(context.environment), say);
  const before = await fs.readFile(context.stackFile, "utf8");
  const known = (await readStacks(context)).includes(context.stack);
  const open = known ? "selectStack" : "createStack";
  const stack = await automation.LocalWorkspace[open](
    { stackName: context.stack, workDir: context.checkout },
    { pulumiCommand, envVars: context.environment },
  );
  const after = await fs.readFile(context.stackFile, "utf8");
  const kept = keepLayout(before, after);
  if (kept !== after) await fs.writeFile(context.stackFile, kept);
  return stack;
}

/**
 * Forgets the stack: its state goes, its file stays and loses the salt, unless that opens values in it.
 * @param force when the state still lists resources, because what held them is gone as a whole
 */
export async function forgetStack(context: Context, force: boolean): Promise<void> {
  if ((await readStacks(context)).includes(context.stack))
    await runPulumi(context, [
      "stack",
      "rm",
      context.stack,
      "--yes",
      "--preserve-config",
      ...(force ? ["--force"] : []),
    ]);
  const text = await fs.readFile(context.stackFile, "utf8");
  const cleaned = hasEncrypted(text) ? text : withoutSalt(text);
  if (cleaned !== text) await fs.writeFile(context.stackFile, cleaned);
}

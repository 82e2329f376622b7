import { Command } from "commander";
import { GroundworkError } from "../../providers/errors.ts";
import { createProgress, type Progress } from "./phases.ts";

/** Options of every program. */
export interface CommonOptions {
  stack: string;
  json: boolean;
}

/** A command with the options that all programs have, and examples below its help. */
export function createCommand(
  name: string,
  description: string,
  examples: readonly string[],
): Command {
  return new Command(`make ${name}`)
    .description(description)
    .usage("[STACK=name] [ARGS=options]")
    .option(
      "--stack <name>",
      "the stack, as in Pulumi.<name>.yaml",
      process.env["STACK"] ?? "local",
    )
    .option("--json", "print the result as JSON; progress goes to standard error", false)
    .addHelpText("after", renderExamples(examples));
}

/** What stands below the options of a command's help. */
export function renderExamples(examples: readonly string[]): string {
  return `\nExamples:\n${examples.map((line) => `  ${line}\n`).join("")}`;
}

/** Progress on standard error where standard output is for a program to read. */
export function progressFor({ json }: CommonOptions): Progress {
  const setUp = Number(process.env["GROUNDWORK_SETUP_MICROSECONDS"] ?? Number.NaN) / 1e6;
  return createProgress(
    json ? process.stderr : process.stdout,
    () => performance.now() / 1000,
    Number.isNaN(setUp) ? [] : [{ title: "Set-up", seconds: setUp }],
  );
}

/** The one paragraph for what went wrong; a stack trace only for what nobody foresaw. */
export function explainError(error: unknown): string {
  if (error instanceof GroundworkError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Runs a program to its end: errors are explained, and the exit code says how it went. */
export async function runCommand(command: Command): Promise<void> {
  try {
    await command.parseAsync();
  } catch (error) {
    process.stderr.write(`\n${explainError(error)}\n`);
    process.exitCode = error instanceof GroundworkError && error.code === "interrupted" ? 130 : 1;
  }
}

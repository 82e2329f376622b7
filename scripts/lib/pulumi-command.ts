import { automation } from "@pulumi/pulumi";
import { spawn } from "node:child_process";
import * as path from "node:path";
import { GroundworkError, tail } from "../../providers/errors.ts";

/** Commands that work on resources: they may take long and must be stopped with care. */
const operations = new Set(["up", "preview", "refresh", "destroy"]);

interface CommandResult {
  stdout: string;
  stderr: string;
  code: number;
}

type Run = (
  args: string[],
  cwd: string,
  env: Record<string, string>,
  onOutput?: (text: string) => void,
  onError?: (text: string) => void,
  signal?: AbortSignal,
) => Promise<CommandResult>;

/** What to do at the n-th interrupt: Pulumi ends gently at its first SIGINT, at once at its second. */
export function planInterrupt(count: number): { signal: NodeJS.Signals; advice: string } {
  if (count === 1)
    return {
      signal: "SIGINT",
      advice: "Stopping after the steps that run. Press Ctrl-C again to stop at once.",
    };
  if (count === 2)
    return {
      signal: "SIGINT",
      advice: "Stopping at once; the next `make up` or `make down` tidies up.",
    };
  return { signal: "SIGKILL", advice: "Killed; the next `make up` or `make down` tidies up." };
}

/**
 * Runs an operation in a process group of its own, so that Ctrl-C reaches this process alone and
 * Pulumi gets exactly one SIGINT for each: two at once would make it drop what it is doing.
 */
function runOperation(
  file: string,
  say: (line: string) => void,
  ...[args, cwd, env, onOutput, onError]: Parameters<Run>
): Promise<CommandResult> {
  const child = spawn(file, [...args, "--non-interactive"], {
    cwd,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      ...env,
      PATH: `${path.dirname(file)}${path.delimiter}${process.env["PATH"] ?? ""}`,
      PULUMI_AUTOMATION_API: "true",
    },
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output.stdout += text;
    onOutput?.(text);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output.stderr += text;
    onError?.(text);
  });

  let interrupts = 0;
  const interrupt = (): void => {
    interrupts += 1;
    const { signal, advice } = planInterrupt(interrupts);
    say(advice);
    if (signal === "SIGKILL" && child.pid !== undefined) process.kill(-child.pid, signal);
    else child.kill(signal);
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, interrupt);

  return new Promise<CommandResult>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      const command = `pulumi ${args[0] ?? ""}`;
      if (code === 0) resolve({ ...output, code });
      else if (interrupts > 0)
        reject(
          new GroundworkError({
            code: "interrupted",
            message: `\`${command}\` was interrupted.`,
            next: "Run `make up` to go on, or `make down` to remove everything.",
          }),
        );
      else
        reject(
          new GroundworkError({
            code: "pulumi-failed",
            message: `\`${command}\` failed (${signal ?? `exit code ${String(code)}`})${output.stderr.trim() === "" ? "" : `: ${tail(output.stderr, 3)}`}.`,
            next: "Mend what stands above, then run the same command again.",
          }),
        );
    });
  }).finally(() => {
    for (const signal of signals) process.off(signal, interrupt);
  });
}

/**
 * The CLI that set-up installed, made fit for Ctrl-C.
 *
 * `run` is what the Automation API calls for every command; its own starts Pulumi in our process
 * group, where a terminal's Ctrl-C arrives as well.
 */
export async function openPulumiCommand(
  root: string,
  say: (line: string) => void,
): Promise<automation.PulumiCommand> {
  const command = await automation.PulumiCommand.get({ root });
  const inherited = (command as unknown as { run: Run }).run.bind(command);
  const run: Run = (args, ...rest) =>
    operations.has(args[0] ?? "")
      ? runOperation(command.command, say, args, ...rest)
      : inherited(args, ...rest);
  return Object.assign(command, { run });
}

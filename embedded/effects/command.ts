import { execa } from "execa";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { GroundworkError, tail } from "../../providers/errors.ts";

/** PATH with the folders of system programs, which an ordinary user's leaves out. */
export const systemPath = [
  ...(process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== ""),
  "/usr/local/sbin",
  "/usr/sbin",
  "/sbin",
].join(delimiter);

export function toolExists(tool: string): boolean {
  if (tool.includes("/")) return existsSync(tool);
  return systemPath.split(delimiter).some((folder) => existsSync(join(folder, tool)));
}

export interface CommandResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** Runs a program and returns what came of it; 127 when it is not there, 124 when it took too long. */
export async function tryCommand(
  file: string,
  args: readonly string[],
  seconds = 30,
): Promise<CommandResult> {
  const result = await execa(file, args, {
    reject: false,
    stdin: "ignore",
    timeout: seconds * 1000,
    killSignal: "SIGKILL",
    env: { PATH: systemPath, LC_ALL: "C.UTF-8", LVM_SUPPRESS_FD_WARNINGS: "1" },
  });
  return {
    exitCode: result.timedOut ? 124 : (result.exitCode ?? 127),
    stdout: result.stdout,
    stderr: result.timedOut
      ? `no answer within ${String(seconds)} s`
      : result.stderr || (result.shortMessage ?? ""),
  };
}

/** Runs a program and returns its standard output. @throws GroundworkError `command-failed`. */
export async function command(
  file: string,
  args: readonly string[],
  purpose: string,
  seconds = 30,
): Promise<string> {
  const result = await tryCommand(file, args, seconds);
  if (result.exitCode === 0) return result.stdout;
  throw new GroundworkError({
    code: "command-failed",
    message: `Could not ${purpose} (${file} exited with ${String(result.exitCode)}): ${tail(result.stderr)}.`,
    next: "Mend what the message names, then run the same command again.",
  });
}

/** Waits until `check` gives something else than undefined; undefined when it never did. */
export async function waitFor<T>(
  check: () => T | undefined | Promise<T | undefined>,
  seconds: number,
  everyMilliseconds = 50,
): Promise<T | undefined> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await check();
    if (found !== undefined || Date.now() > end) return found;
    await new Promise((resolve) => setTimeout(resolve, everyMilliseconds));
  }
}

import { execa } from "execa";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { GroundworkError, redact, tail } from "../../errors.ts";
import { type HostConnection, parseLibvirtUri, sshArguments } from "../core/connection.ts";
import { frameScript, leashCommand, quote } from "../core/script.ts";

/** What came of a script. `exitCode` is 255 where SSH itself failed. */
export interface ScriptResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  /** Said in errors: what the script was to do, such as `create volume "lab/vm1-root"`. */
  purpose: string;
  /** Ends the script after so many seconds; default 60. */
  timeoutSeconds?: number;
  /** Called with each line of standard output as it comes. */
  onLine?: (line: string) => void;
  /** Texts that errors must not show. */
  secrets?: readonly string[];
}

/** A machine on which bash scripts run: this one, or one reached over SSH. */
export interface Host {
  /** For messages: `this machine` or the host's name. */
  readonly name: string;
  readonly connection: HostConnection;
  /** Runs a bash script and returns what came of it, whatever its exit code. */
  tryRun(script: string, options: RunOptions): Promise<ScriptResult>;
  /**
   * Runs a bash script and returns its standard output.
   * @throws GroundworkError `command-failed`, `command-timed-out`, or `host-unreachable`.
   */
  run(script: string, options: RunOptions): Promise<string>;
}

function controlPath(connection: HostConnection): string {
  const folder = path.join(
    process.env["XDG_RUNTIME_DIR"] ?? "/tmp",
    `groundwork-ssh-${String(process.getuid?.() ?? 0)}`,
  );
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const owner = fs.lstatSync(folder);
  if (!owner.isDirectory() || owner.uid !== (process.getuid?.() ?? 0) || (owner.mode & 0o077) !== 0)
    throw new GroundworkError({
      code: "unsafe-control-folder",
      message: `Cannot share SSH connections in ${folder}: it is not a folder that only you can use.`,
      next: `Remove it, or set XDG_RUNTIME_DIR.`,
    });
  const digest = createHash("sha256").update(connection.uri).digest("hex").slice(0, 16);
  return path.join(folder, digest);
}

function commandLine(connection: HostConnection): [string, string[]] {
  if (connection.kind === "local") return ["bash", ["-c", leashCommand]];
  return ["ssh", [...sshArguments(connection, controlPath(connection)), `bash -c ${quote(leashCommand)}`]];
}

/** Opens the host behind a libvirt URI. No connection is made before the first script. */
export function openHost(uri: string): Host {
  const connection = parseLibvirtUri(uri);
  const name = connection.kind === "local" ? "this machine" : connection.hostname;

  async function tryRun(script: string, options: RunOptions): Promise<ScriptResult> {
    const seconds = options.timeoutSeconds ?? 60;
    const [file, args] = commandLine(connection);
    const child = execa(file, args, {
      stdin: "pipe",
      reject: false,
      // The shell ends the script when its standard input ends, so closing it is the gentle stop.
      cleanup: true,
      stripFinalNewline: false,
      env: { LC_ALL: "C.UTF-8" },
    });
    child.stdin.on("error", () => undefined); // the exit code tells what went wrong
    child.stdin.write(frameScript(script));
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.stdin.end();
      setTimeout(() => child.kill("SIGKILL"), 10_000).unref();
    }, seconds * 1000);
    if (options.onLine !== undefined) {
      const { onLine } = options;
      void (async () => {
        for await (const line of child.iterable({ from: "stdout" })) onLine(line);
      })().catch(() => undefined); // the result below reports the failure
    }
    const result = await child;
    clearTimeout(timer);
    child.stdin.destroy();
    if (timedOut)
      throw new GroundworkError({
        code: "command-timed-out",
        message: `Could not ${options.purpose} on ${name} within ${String(seconds)} s.`,
        next: "See what keeps the host busy, then run the same command again.",
      });
    return {
      exitCode: result.exitCode ?? (result.isTerminated ? 143 : 127),
      stdout: result.stdout,
      stderr: result.stderr !== "" ? result.stderr : (result.shortMessage ?? ""),
    };
  }

  async function run(script: string, options: RunOptions): Promise<string> {
    const result = await tryRun(script, options);
    if (result.exitCode === 0) return result.stdout;
    const reason = redact(tail(result.stderr), options.secrets ?? []);
    if (connection.kind === "ssh" && result.exitCode === 255)
      throw new GroundworkError({
        code: "host-unreachable",
        message: `Cannot reach ${name} over SSH to ${options.purpose}: ${reason}.`,
        next: `Check that \`ssh ${connection.user === undefined ? "" : `${connection.user}@`}${connection.hostname} true\` works without a question.`,
      });
    throw new GroundworkError({
      code: "command-failed",
      message: `Could not ${options.purpose} on ${name} (exit code ${String(result.exitCode)}): ${reason}.`,
      next: "Mend what the message names, then run the same command again.",
    });
  }

  return { name, connection, tryRun, run };
}

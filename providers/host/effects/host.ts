import type { Readable } from "node:stream";
import { execa } from "execa";
import { GroundworkError, redact, tail } from "../../errors.ts";
import { type HostConnection, parseHostUri, sshArguments } from "../core/connection.ts";
import { isUnreachable, sshError, sshFailed } from "../core/failure.ts";
import { feedCommand, frameScript, leashCommand, quote } from "../core/script.ts";
import { controlPathFor } from "./control-path.ts";

/** What came of a script. */
export interface ScriptResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  /** Said in errors after "to": what the script does, such as `create volume "lab/vm1-root"`. */
  purpose: string;
  /** Ends the script, with all that it started, after so many seconds; default 60. */
  timeoutSeconds?: number;
  /** Called with each line of standard output as it comes. */
  onLine?: (line: string) => void;
  /** Texts that errors must not show. */
  secrets?: readonly string[];
  /** Ends the script early, with all that it started. */
  signal?: AbortSignal;
  /**
   * Data for the script's standard input, which then is no leash: the script must notice an input that
   * ends early, such as by a digest.
   */
  input?: Readable;
}

/** A machine on which bash scripts run: this one, or one reached over SSH. */
export interface Host {
  /** For messages: `this machine` or the host's name. */
  readonly name: string;
  readonly connection: HostConnection;
  /**
   * Runs a bash script and returns what came of it, whatever its exit code.
   * @throws GroundworkError `command-timed-out`, or when the host cannot be used at all:
   *   `host-unreachable`, `host-connection-lost`, `host-access-denied`, `host-key-unknown`,
   *   `host-key-changed`.
   */
  tryRun(script: string, options: RunOptions): Promise<ScriptResult>;
  /**
   * Runs a bash script and returns its standard output.
   * @throws GroundworkError `command-failed` for an exit code other than 0, or as `tryRun`.
   */
  run(script: string, options: RunOptions): Promise<string>;
}

interface RunningScript {
  /** The gentle stop: the shell ends the script when its standard input ends. */
  end(): void;
  ended: Promise<unknown>;
}

const running = new Set<RunningScript>();
let ending = false;

/**
 * Ends every script of this process, with all that it started, here and on other hosts. Resolves once
 * none is left; no further one starts.
 */
export async function endRunningScripts(): Promise<void> {
  ending = true;
  for (const script of running) script.end();
  await Promise.allSettled([...running].map(({ ended }) => ended));
}

function commandLine(connection: HostConnection, command: string): [string, string[]] {
  if (connection.kind === "local") return ["bash", ["-c", command]];
  const args = sshArguments(connection, controlPathFor(connection.uri));
  return ["ssh", [...args, `bash -c ${quote(command)}`]];
}

/** Opens the host behind a URI (see `parseHostUri`). No connection is made before the first script. */
export function openHost(uri: string): Host {
  const connection = parseHostUri(uri);
  const name = connection.kind === "local" ? "this machine" : connection.hostname;
  const failure =
    connection.kind === "local"
      ? undefined
      : (purpose: string, stderr: string) => sshError(connection, purpose, stderr);
  return {
    name,
    connection,
    ...createRunner(name, (command) => commandLine(connection, command), failure),
  };
}

/** Whether anybody answers behind a libvirt URI; other failures are an answer. */
export async function answers(uri: string): Promise<boolean> {
  try {
    await openHost(uri).tryRun("true", { purpose: "see whether it answers" });
    return true;
  } catch (error) {
    return !isUnreachable(error);
  }
}

/** A machine of a stack as `ssh -F <configFile> <name>` reaches it; scripts run there as root. */
export interface GuestTarget {
  name: string;
  /** The file that `ensureSshEntry` wrote, with the machine in it. */
  configFile: string;
}

/** What runs scripts on a machine of a stack, with the manners of a Host. */
export type Guest = Pick<Host, "name" | "tryRun" | "run">;

/**
 * Opens a machine of a stack. Every script has a connection of its own: a shared one would outlive a
 * machine that is made anew.
 */
export function openGuest({ name, configFile }: GuestTarget): Guest {
  const options = ["BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=10"];
  const words = ["-F", configFile, "-T", ...options.flatMap((option) => ["-o", option])];
  const inside = (command: string): string => `sudo -n bash -c ${quote(command)}`;
  const failure = (purpose: string, stderr: string): GroundworkError =>
    sshError({ kind: "ssh", uri: "", hostname: name }, purpose, stderr);
  return {
    name,
    ...createRunner(name, (command) => ["ssh", [...words, "--", name, inside(command)]], failure),
  };
}

function createRunner(
  name: string,
  commandOf: (command: string) => [string, string[]],
  failure: ((purpose: string, stderr: string) => GroundworkError) | undefined,
): Pick<Host, "tryRun" | "run"> {
  async function tryRun(script: string, options: RunOptions): Promise<ScriptResult> {
    const seconds = options.timeoutSeconds ?? 60;
    const secrets = options.secrets ?? [];
    if (ending) throw new Error(`did not ${options.purpose}: this process is ending`);
    const [file, args] = commandOf(options.input === undefined ? leashCommand : feedCommand);
    options.signal?.throwIfAborted();
    const child = execa(file, args, {
      stdin: "pipe",
      reject: false,
      cleanup: true,
      stripFinalNewline: false,
      env: { LC_ALL: "C.UTF-8" },
    });
    child.stdin.on("error", () => undefined); // the exit code tells what went wrong
    child.stdin.write(frameScript(script));
    if (options.input !== undefined) {
      options.input.once("error", () => child.stdin.end());
      options.input.pipe(child.stdin);
    }
    const state = { timedOut: false };
    let killer: NodeJS.Timeout | undefined;
    const timer = setTimeout(() => {
      state.timedOut = true;
      child.stdin.end();
      killer = setTimeout(() => {
        child.kill("SIGKILL");
        // The master of a shared connection may hold these open on.
        child.stdout.destroy();
        child.stderr.destroy();
      }, 10_000);
    }, seconds * 1000);
    if (options.onLine !== undefined) {
      const { onLine } = options;
      void (async () => {
        for await (const line of child.iterable({ from: "stdout" })) onLine(line);
      })().catch(() => undefined); // the result below reports the failure
    }
    options.signal?.addEventListener("abort", () => child.stdin.end(), { once: true });
    const started: RunningScript = { end: () => child.stdin.end(), ended: child };
    running.add(started);
    const result = await child;
    running.delete(started);
    clearTimeout(timer);
    clearTimeout(killer);
    child.stdin.destroy();
    if (state.timedOut)
      throw new GroundworkError({
        code: "command-timed-out",
        message: `Could not ${options.purpose} on ${name} within ${String(seconds)} s.`,
        next: "See what keeps the host busy, then run the same command again.",
      });
    if (failure !== undefined && result.exitCode === sshFailed)
      throw failure(options.purpose, redact(result.stderr, secrets));
    return {
      exitCode: result.exitCode ?? (result.isTerminated ? 143 : 127),
      stdout: result.stdout,
      // Only a program that could not be started leaves its reason to execa.
      stderr: result.exitCode === undefined ? (result.shortMessage ?? "") : result.stderr,
    };
  }

  async function run(script: string, options: RunOptions): Promise<string> {
    const result = await tryRun(script, options);
    if (result.exitCode === 0) return result.stdout;
    const said = redact(tail(result.stderr).trim(), options.secrets ?? []).replace(/\.$/, "");
    const reason = said === "" ? "it gave no reason" : said;
    throw new GroundworkError({
      code: "command-failed",
      message: `Could not ${options.purpose} on ${name} (exit code ${String(result.exitCode)}): ${reason}.`,
      next: "Mend what the message names, then run the same command again.",
    });
  }

  return { tryRun, run };
}

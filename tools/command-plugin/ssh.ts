import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import {
  mayRetry,
  renderAskpass,
  renderHopFiles,
  renderSshConfig,
  retryDelay,
} from "./connection.ts";
import type { Connection } from "./connection.ts";
import { runProcess } from "./process.ts";
import type { ProcessResult } from "./process.ts";
import type { RunContext } from "./run-context.ts";

export interface RemoteRun {
  /** A script for the server's /bin/sh, which gets `words` as its arguments; neither may hold a secret. */
  readonly script: string;
  readonly words: readonly string[];
  /** Writes the script's standard input and ends it. */
  readonly feed: (stdin: Writable) => Promise<void> | void;
  /** Variables offered to the server, which takes those that its AcceptEnv names. */
  readonly environment: Readonly<Record<string, string>>;
  /** Gets each line once connected; what it answers `false` to does not count as output. */
  readonly onLine?: (stream: "stdout" | "stderr", line: string) => boolean;
}

/** Variables that would change ssh itself on this machine; no server accepts them. */
const unsendable = /^(?:LD_|SSH_)|^(?:PATH|HOME|DISPLAY)$/;

/**
 * Runs a script on a server by OpenSSH, with attempts to connect as the connection allows. Secrets lie in a folder of
 * this user alone while it runs, never in an argument list.
 */
export async function runOverSsh(
  connection: Connection,
  run: RemoteRun,
  context: RunContext,
): Promise<ProcessResult> {
  for (let failures = 1; ; failures += 1) {
    const { connected, result } = await attempt(connection, run, context);
    if (connected) return result;
    const reason = result.stderr.trim() || `ssh exited with ${String(result.code)}`;
    const { dialErrorLimit } = connection;
    if (!mayRetry(failures, dialErrorLimit))
      throw new Error(
        `cannot connect to ${connection.user}@${connection.host}:${String(connection.port)} ` +
          `after ${String(failures)} failed attempts: ${reason}`,
      );
    const limit = dialErrorLimit < 0 ? "inf" : String(dialErrorLimit);
    context.log("info", `Dial ${String(failures)}/${limit} failed: retrying`);
    await sleep(retryDelay(failures), undefined, { signal: context.signal });
  }
}

async function attempt(
  connection: Connection,
  run: RemoteRun,
  context: RunContext,
): Promise<{ connected: boolean; result: ProcessResult }> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-command-"));
  const remove = (): void => {
    fs.rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", remove);
  try {
    const sent = Object.entries(run.environment).filter(([name]) => !unsendable.test(name));
    writeSecrets(
      connection,
      folder,
      sent.map(([name]) => name),
    );
    const greeting = `connected-${randomBytes(8).toString("hex")}`;
    const script = `printf '%s\\n' "$1" >&2; shift; ${run.script}`;
    const words = ["/bin/sh", "-c", script, "groundwork", greeting, ...run.words];
    let connected = false;
    const result = await runProcess({
      file: "ssh",
      arguments: ["-F", path.join(folder, "config"), "target", words.map(quote).join(" ")],
      environment: {
        ...pickEnvironment(["PATH", "HOME", "SSH_AUTH_SOCK"]),
        ...Object.fromEntries(sent),
        // An older ssh asks a program only when there is a display, and no terminal.
        ...{ SSH_ASKPASS: `${folder}/target-askpass`, SSH_ASKPASS_REQUIRE: "force", DISPLAY: ":" },
      },
      feed: run.feed,
      onLine: (stream, line) => {
        if (stream === "stderr" && line === greeting) {
          connected = true;
          return false;
        }
        return connected ? (run.onLine?.(stream, line) ?? true) : true;
      },
      signal: context.signal,
    });
    return { connected, result };
  } finally {
    remove();
    process.removeListener("exit", remove);
  }
}

function writeSecrets(connection: Connection, folder: string, sent: readonly string[]): void {
  const hops = { target: connection, ...(connection.proxy && { proxy: connection.proxy }) };
  const files: Record<string, string> = { config: renderSshConfig(connection, folder, sent) };
  for (const [name, hop] of Object.entries(hops)) {
    Object.assign(files, renderHopFiles(name, hop));
    files[`${name}-askpass`] = renderAskpass(name, folder);
  }
  for (const [name, text] of Object.entries(files))
    fs.writeFileSync(path.join(folder, name), text, {
      mode: name.endsWith("-askpass") ? 0o700 : 0o600,
    });
}

function pickEnvironment(names: readonly string[]): Record<string, string | undefined> {
  return Object.fromEntries(names.map((name) => [name, process.env[name]]));
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

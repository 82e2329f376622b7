import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { tail } from "../../providers/errors.ts";
import { layoutOf, markOf, markVariable } from "../core/layout.ts";
import type { Daemon, EmbeddedOptions } from "../core/types.ts";
import { systemPath } from "./command.ts";

export function logOf(options: EmbeddedOptions, daemon: Daemon): string {
  return join(layoutOf(options).logs, `${daemon}.log`);
}

/** The end of a daemon's log, for an error. */
export function logTail(options: EmbeddedOptions, daemon: Daemon): string {
  const log = logOf(options, daemon);
  return existsSync(log) ? tail(readFileSync(log, "utf8")) : "(no log)";
}

/**
 * Starts a program that outlives us: in a session of its own, without a terminal, with its output in
 * the log folder, and with our mark in an environment that holds nothing else of ours.
 */
export function startDaemon(
  options: EmbeddedOptions,
  daemon: Daemon,
  file: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  mkdirSync(layoutOf(options).logs, { recursive: true });
  const log = openSync(logOf(options, daemon), "a", 0o600);
  const child = spawn(file, args, {
    cwd: "/",
    detached: true,
    stdio: ["ignore", log, log],
    env: {
      PATH: systemPath,
      LC_ALL: "C.UTF-8",
      [markVariable]: markOf(options, daemon),
      ...environment,
    },
  });
  closeSync(log);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("spawn", () => {
      child.unref();
      resolve();
    });
  });
}

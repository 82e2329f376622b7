import * as fs from "node:fs";
import * as path from "node:path";
import { execa } from "execa";
import { GroundworkError, tail } from "../../providers/errors.ts";
import { lineSplitter } from "./phases.ts";

export interface RunOptions {
  readonly cwd?: string;
  /** On top of this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Ends the command. */
  readonly signal?: AbortSignal;
}

/** Runs a command to its end and gives what it wrote to standard output. Throws `tool-command` when it fails. */
export type RunCommand = (
  file: string,
  args: readonly string[],
  options?: RunOptions,
) => Promise<string>;

/** A log file, and the last line that went into it. */
export interface Log {
  readonly file: string;
  readonly write: (text: string) => void;
}

/** Opens a log of this run in `<home>/logs`. */
export function openLog(home: string, name: string, now: Date): Log {
  const time = now.toISOString().slice(0, 19).replaceAll(":", "").replace("T", "-");
  const file = path.join(home, "logs", `${name}-${time}.log`);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  return {
    file,
    write: (text) => {
      fs.appendFileSync(file, text);
    },
  };
}

/** Runs commands with everything they write in the log; `report` gets a line every `everySeconds` while one runs. */
export function commandRunner(
  log: Log,
  report: (line: string) => void,
  everySeconds = 20,
): RunCommand {
  return async (file, args, options = {}) => {
    log.write(`$ ${[file, ...args].join(" ")}\n`);
    let last = "";
    const lines = lineSplitter((line) => {
      log.write(`${line}\n`);
      if (line.trim() !== "") last = line.trim();
    });
    const ticking = setInterval(() => {
      report(last === "" ? "still at work" : last);
      last = "";
    }, everySeconds * 1000);
    try {
      const child = execa(file, args, {
        cwd: options.cwd ?? process.cwd(),
        env: { ...options.env },
        stdin: "ignore",
        reject: false,
        ...(options.signal !== undefined && { cancelSignal: options.signal }),
      });
      for (const stream of [child.stdout, child.stderr])
        stream.on("data", (chunk: Buffer) => {
          lines.write(chunk.toString());
        });
      const result = await child;
      lines.end();
      if (result.exitCode === 0) return result.stdout;
      throw failure(file, args, result, log);
    } finally {
      clearInterval(ticking);
    }
  };
}

function failure(
  file: string,
  args: readonly string[],
  result: { exitCode?: number | undefined; stderr: string; shortMessage?: string | undefined },
  log: Log,
): GroundworkError {
  const how =
    result.exitCode === undefined
      ? (result.shortMessage ?? "was ended")
      : `exited with ${String(result.exitCode)}`;
  return new GroundworkError({
    code: "tool-command",
    message: `\`${[file, ...args].join(" ")}\` ${how}:\n${tail(result.stderr)}\n`,
    next: `Everything it wrote is in ${log.file}; run scripts/setup again once the cause is mended.`,
  });
}

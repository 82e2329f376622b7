import { spawn } from "node:child_process";
import type { Writable } from "node:stream";

export interface ProcessOptions {
  readonly file: string;
  readonly arguments: readonly string[];
  readonly directory?: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Writes standard input and ends it; without it, standard input is empty. */
  readonly feed?: (stdin: Writable) => Promise<void> | void;
  /** Gets each line as it appears; what it answers `false` to does not count as output. */
  readonly onLine?: (stream: "stdout" | "stderr", line: string) => boolean;
  readonly signal: AbortSignal;
}

export interface ProcessResult {
  readonly code: number | null;
  readonly endedBy: string | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Both streams in the order in which they came. */
  readonly output: string;
}

/** Runs a process in a group of its own, to its end or to the abort. Throws when it cannot be started. */
export async function runProcess(options: ProcessOptions): Promise<ProcessResult> {
  options.signal.throwIfAborted();
  const child = spawn(options.file, options.arguments, {
    cwd: options.directory,
    env: options.environment,
    detached: true,
    stdio: "pipe",
  });
  const abort = (): void => {
    endGroup(child.pid);
  };
  options.signal.addEventListener("abort", abort);
  const kept = { stdout: "", stderr: "", output: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    const lines = splitLines((line, end) => {
      if (options.onLine?.(stream, line) === false) return;
      kept[stream] += line + end;
      kept.output += line + end;
    });
    child[stream].setEncoding("utf8").on("data", lines.write).on("end", lines.end);
  }
  child.stdin.on("error", () => {
    // The process may end without reading its input; how it ended says whether that was right.
  });
  try {
    const ended = new Promise<Pick<ProcessResult, "code" | "endedBy">>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code, endedBy) => {
        resolve({ code, endedBy });
      });
    });
    const [result] = await Promise.all([ended, options.feed?.(child.stdin) ?? child.stdin.end()]);
    options.signal.throwIfAborted();
    return { ...result, ...kept };
  } catch (error) {
    endGroup(child.pid);
    throw error;
  } finally {
    options.signal.removeEventListener("abort", abort);
  }
}

/** Ends a process and all that it started. */
function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function splitLines(give: (line: string, end: string) => void): {
  write: (text: string) => void;
  end: () => void;
} {
  let rest = "";
  return {
    write(text) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) give(line, "\n");
    },
    end() {
      if (rest !== "") give(rest, "");
      rest = "";
    },
  };
}

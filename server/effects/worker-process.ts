import { execa } from "execa";
import * as path from "node:path";
import type { Job, Report } from "../core/jobs.ts";

const program = path.resolve(import.meta.dirname, "../worker.ts");

/** Where and as whom a server works. */
export interface Target {
  /** The host's libvirt URI. */
  hypervisorUri: string;
  volumeGroup: string;
  /** Tagged onto the volumes: `<project>/<stack>`. */
  owner: string;
  /** Whether volumes that carry another owner's tag, or none, are written too. */
  adopt: boolean;
}

/** A job at work. */
export interface RunningWorker {
  /** Ends the job's process; resolves once nothing of it runs any more, on the host either. */
  stop(): Promise<void>;
}

/**
 * Starts a process for one job: jobs do not share a fetch that the cancelling of one would end for
 * the other. Its standard input is its leash: when that ends, by `stop` or with this process, the
 * worker ends what it runs on the host and then itself.
 *
 * @param onEnd called once the process is gone, unless it was stopped
 */
export function startWorker(
  target: Target,
  { work, generation }: Job,
  onReport: (report: Report) => void,
  onEnd: () => void,
): RunningWorker {
  const child = execa("node", ["--import=tsx", program], {
    stdin: "pipe",
    stderr: "inherit",
    reject: false,
    buffer: false,
  });
  child.stdin.on("error", () => undefined); // its end is reported below
  child.stdin.write(`${JSON.stringify({ target, work, generation })}\n`);
  let stopped = false;
  let last: Report | undefined;
  const ended = (async () => {
    for await (const line of child.iterable()) {
      const report = parseReport(line);
      if (report === undefined) continue;
      last = report;
      onReport(report);
    }
  })()
    .catch(() => undefined)
    .then(() => child)
    .then(({ exitCode }) => {
      if (stopped) return;
      if (last?.kind !== "completed" && last?.kind !== "failed")
        onReport({
          kind: "failed",
          error: `The job's process ended with exit code ${String(exitCode)} and gave no reason.`,
        });
      onEnd();
    });
  return {
    stop: async () => {
      stopped = true;
      child.stdin.end();
      await ended;
    },
  };
}

/** A report; `undefined` for a line that is none, such as what a library has to say. */
function parseReport(line: string): Report | undefined {
  try {
    return line.startsWith('{"kind":') ? (JSON.parse(line) as Report) : undefined;
  } catch {
    return undefined;
  }
}

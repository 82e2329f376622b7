import { setTimeout as sleep } from "node:timers/promises";
import { GroundworkError } from "../../errors.ts";
import type { Guest } from "../../host/effects/host.ts";
import {
  parseApiLine,
  readKubeconfigScript,
  renderApiWatch,
  renderKubectl,
} from "../core/api-script.ts";
import {
  type ApiSighting,
  type Expectation,
  listMissing,
  type ObservedNode,
} from "../core/observed.ts";
import type { Deadline } from "./guests.ts";

/** One look at the API of a server; `silent` also where the server cannot be entered, or `signal` ends the look. */
export async function readApi(
  guest: Guest,
  timeoutSeconds: number,
  signal?: AbortSignal,
): Promise<ApiSighting> {
  try {
    const output = await guest.run(renderApiWatch({ once: true, coreDns: false }), {
      ...{ purpose: "look at the cluster's API", timeoutSeconds },
      ...(signal !== undefined && { signal }),
    });
    const sightings = output.split("\n").flatMap((line) => parseApiLine(line) ?? []);
    return sightings[0] ?? { kind: "silent", detail: "nothing was said" };
  } catch (error) {
    if (!(error instanceof GroundworkError)) throw error;
    return { kind: "silent", detail: error.message };
  }
}

/**
 * Asks until the API answers, for a busy server may be silent for a while.
 *
 * @throws GroundworkError `k3s-not-ready`
 */
export async function awaitAnswer({
  guest,
  deadline,
}: Pick<WaitContext, "guest" | "deadline">): Promise<readonly ObservedNode[]> {
  for (;;) {
    const sighting = await readApi(guest, 60);
    if (sighting.kind === "answers") return sighting.nodes;
    if (deadline.passed())
      throw new GroundworkError({
        code: "k3s-not-ready",
        message: `the API of ${guest.name} does not answer: ${sighting.detail}.`,
        next: "See docs/k3s.md, API unreachable.",
      });
    await sleep(1000);
  }
}

export interface WaitContext {
  guest: Guest;
  deadline: Deadline;
  report: (line: string) => void;
}

/** How often progress is told. */
const tickMs = 5000;

/**
 * Watches the API of a server, in one session, until what is expected is there.
 *
 * @returns the nodes as they are then.
 * @throws GroundworkError `k3s-not-ready` with what is missing.
 */
export async function awaitApi(
  { guest, deadline, report }: WaitContext,
  expected: Expectation,
): Promise<readonly ObservedNode[]> {
  let missing = ["the API has not been seen yet"];
  let nodes: readonly ObservedNode[] = [];
  const seen = new Set<string>();
  const ticker = setInterval(() => {
    if (missing.length > 0) report(`${deadline.elapsed().toFixed(0)} s: ${missing.join("; ")}`);
  }, tickMs);
  try {
    while (!deadline.passed()) {
      const enough = new AbortController();
      const onLine = (line: string): void => {
        const sighting = parseApiLine(line);
        if (sighting === undefined || enough.signal.aborted) return;
        missing = listMissing(sighting, expected);
        if (sighting.kind === "answers") {
          nodes = sighting.nodes;
          tellArrivals(nodes, seen, (text) =>
            report(`${deadline.elapsed().toFixed(0)} s: ${text}`),
          );
        }
        if (missing.length === 0) enough.abort();
      };
      await guest
        .tryRun(renderApiWatch({ once: false, coreDns: expected.coreDns }), {
          ...{ purpose: "watch the cluster's API", timeoutSeconds: Math.ceil(deadline.left()) },
          ...{ onLine, signal: enough.signal },
        })
        .catch((error: unknown) => {
          if (!(error instanceof GroundworkError)) throw error;
          // Of the end of the time is told below, with what was missing then.
          if (error.code !== "command-timed-out") missing = [error.message];
        });
      if (missing.length === 0) return nodes;
      await sleep(1000); // the session was lost; the server may be booting
    }
  } finally {
    clearInterval(ticker);
  }
  throw new GroundworkError({
    code: "k3s-not-ready",
    message: `it is not as wished after ${deadline.elapsed().toFixed(0)} s: ${missing.join("; ")}.`,
    next: "See the logs for what it waits for, or raise readyTimeoutSeconds; `make up` goes on from what is there.",
  });
}

function tellArrivals(
  nodes: readonly ObservedNode[],
  seen: Set<string>,
  tell: (text: string) => void,
): void {
  const news = [
    ["api", "the API answers"] as const,
    ...nodes.filter(({ ready }) => ready).map(({ name }) => [name, `${name} is Ready`] as const),
  ];
  for (const [key, text] of news)
    if (!seen.has(key)) {
      seen.add(key);
      tell(text);
    }
}

/** Runs kubectl on a server. @throws GroundworkError `command-failed`. */
export async function runKubectl(
  guest: Guest,
  purpose: string,
  commands: readonly (readonly string[])[],
  timeoutSeconds = 120,
): Promise<void> {
  await guest.run(renderKubectl(commands), { purpose, timeoutSeconds });
}

/** The kubeconfig as k3s wrote it on a server. */
export function readKubeconfig(guest: Guest): Promise<string> {
  return guest.run(readKubeconfigScript, {
    purpose: "read the kubeconfig of k3s",
    timeoutSeconds: 60,
  });
}

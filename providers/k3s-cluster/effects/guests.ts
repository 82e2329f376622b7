import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { GroundworkError } from "../../errors.ts";
import { isUnreachable } from "../../host/core/failure.ts";
import { type Guest, openGuest } from "../../host/effects/host.ts";
import { ensureSshEntry } from "../../machine-ready/effects/ssh-files.ts";
import type { ClusterArguments, NodeArguments } from "../core/arguments.ts";
import { type NodeProbe, parseProbe, renderDiagnosis, renderProbe } from "../core/node-script.ts";

/** How long everything together may still take. */
export interface Deadline {
  /** Seconds left, never below 1. */
  left: () => number;
  passed: () => boolean;
  /** Seconds since the beginning, for progress. */
  elapsed: () => number;
}

export function startDeadline(seconds: number): Deadline {
  const started = performance.now();
  const elapsed = (): number => (performance.now() - started) / 1000;
  return {
    elapsed,
    left: () => Math.max(1, seconds - elapsed()),
    passed: () => elapsed() >= seconds,
  };
}

/** Opens nodes by their names, once `ssh` knows them. */
export async function openNodes(
  args: Pick<ClusterArguments, "stack" | "privateKey">,
  nodes: readonly Omit<NodeArguments, "hasRoute" | "machine" | "config" | "labels" | "taints">[],
): Promise<Map<string, Guest>> {
  const guests = new Map<string, Guest>();
  for (const node of nodes) {
    const { name, address, user, hostPublicKey, hypervisorUri } = node;
    const { configFile } = await ensureSshEntry({
      home: process.env["GROUNDWORK_HOME"] ?? path.resolve(".groundwork"),
      stack: args.stack,
      machine: { name, address, user, hostPublicKey, hypervisorUri },
      privateKey: args.privateKey,
      networkNamespace: process.env["GROUNDWORK_NETWORK_NAMESPACE"],
    });
    guests.set(name, openGuest({ name, configFile }));
  }
  return guests;
}

/** One try at a second; a machine that boots refuses, shows another key or has no user for a while. */
const pauseMs = 1000;

/**
 * Waits until a node can be entered, and looks what it has.
 *
 * @throws GroundworkError `k3s-node-unreachable`
 */
export async function awaitProbe(
  guest: Guest,
  role: NodeArguments["role"],
  deadline: Deadline,
): Promise<NodeProbe> {
  let seen = "nothing yet";
  while (!deadline.passed()) {
    try {
      const result = await guest.tryRun(renderProbe(role), {
        purpose: "look at what is on the node",
        timeoutSeconds: 60,
      });
      const probe = parseProbe(result.stdout);
      if (probe !== undefined) return probe;
      seen = result.stderr.trim();
    } catch (error) {
      if (!(error instanceof GroundworkError)) throw error;
      seen = error.message;
    }
    await sleep(pauseMs);
  }
  throw new GroundworkError({
    code: "k3s-node-unreachable",
    message: `Node "${guest.name}" could not be entered in time; last seen: ${seen}`,
    next: "See its serial log for what it waits for, or raise readyTimeoutSeconds.",
  });
}

/**
 * Has work that may be done twice done again when it broke off with its connection: cloud-init restarts
 * sshd at first boot, after it has let the first ones in.
 */
export function patient<Args extends unknown[], Result>(
  work: (...args: Args) => Promise<Result>,
  deadline: Deadline,
): (...args: Args) => Promise<Result> {
  return async (...args) => {
    for (;;)
      try {
        return await work(...args);
      } catch (error) {
        const lost = isUnreachable(error) && error.code !== "command-timed-out";
        if (!lost || deadline.passed()) throw error;
        await sleep(pauseMs);
      }
  };
}

/** The ends of a node's logs, or why they cannot be read. */
export async function readDiagnosis(guest: Guest, role: NodeArguments["role"]): Promise<string> {
  try {
    return await guest.run(renderDiagnosis(role), {
      purpose: "read the logs of the node",
      timeoutSeconds: 60,
    });
  } catch (error) {
    return `(${error instanceof Error ? error.message : String(error)})`;
  }
}

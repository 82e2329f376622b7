import { say } from "../../telemetry/effects/log.ts";
import type { ClusterArguments } from "../core/arguments.ts";
import { joinAnew, nodeApplier } from "./apply-node.ts";
import { nodeOf, type Rollout } from "./at-work.ts";
import type { Deadline } from "./guests.ts";
import { explain } from "./rollout.ts";

/**
 * Has one node whose disk was made anew join its cluster again, and waits until it is Ready.
 *
 * @param through a server whose API answers.
 * @param isListed a Node of its name is there, which is the one before.
 */
export async function rejoin(
  args: ClusterArguments,
  name: string,
  {
    guests,
    deadline,
    through,
    isListed,
  }: { guests: Rollout["guests"]; deadline: Deadline; through: string; isListed: boolean },
): Promise<void> {
  const report = (line: string): void => say(`${args.cluster}: ${line}`);
  const node = nodeOf({ args }, name);
  const base = {
    ...{ args, guests, deadline, report, probes: new Map() },
    through: nodeOf({ args }, through),
  };
  try {
    const { apply } = nodeApplier(args, base);
    await joinAnew({ ...base, apply }, node, isListed);
  } catch (error) {
    throw await explain({ ...args, nodes: [node] }, guests, error);
  }
}

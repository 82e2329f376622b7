import type { ObservedNode } from "../../k3s-cluster/core/observed.ts";
import type { TurnArguments, TurnNode } from "./arguments.ts";

type Wish = Pick<TurnArguments, "name" | "nodes" | "maxUnavailable">;

/** The node whose turn it is. */
export function nodeOf({ name, nodes }: Pick<TurnArguments, "name" | "nodes">): TurnNode {
  const found = nodes.find((node) => node.name === name);
  if (found === undefined) throw new Error(`no node is called ${name}`);
  return found;
}

/**
 * Who keeps a node from going, by what the API lists: a server goes when nobody is away, an agent when
 * no server is and not too many agents are. Nodes that have their turn are away from the moment when
 * pods are kept from them until they are back, whatever became of the run that began it.
 */
export function listAway(
  seen: readonly ObservedNode[],
  { name, nodes, maxUnavailable }: Wish,
): string[] {
  const away = nodes.filter((node) => {
    const found = seen.find((each) => each.name === node.name);
    return node.name !== name && found !== undefined && (!found.ready || found.cordonedByUs);
  });
  const servers = away.filter(({ role }) => role === "server");
  const names = away.map((node) => node.name);
  if (nodeOf({ name, nodes }).role === "server" || servers.length > 0) return names;
  return away.length < maxUnavailable ? [] : names;
}

/** Whether a node that had its turn is back: what the API says of it is of its present boot. */
export function isBack(
  seen: readonly ObservedNode[],
  node: { name: string; bootId: string },
): boolean {
  const found = seen.find(({ name }) => name === node.name);
  return found?.ready === true && found.bootId === node.bootId;
}

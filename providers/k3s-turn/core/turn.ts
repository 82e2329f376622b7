import type { ObservedNode } from "../../k3s-cluster/core/observed.ts";
import type { TurnArguments } from "./arguments.ts";

type Wish = Pick<TurnArguments, "node" | "nodes" | "maxUnavailable">;

/**
 * Who keeps a node from going, by what the API lists: a server goes when nobody is away, an agent when
 * no server is and not too many agents are. Nodes that have their turn are away from the moment when
 * pods are kept from them until they are back, whatever became of the run that began it.
 */
export function listAway(
  seen: readonly ObservedNode[],
  { node, nodes, maxUnavailable }: Wish,
): string[] {
  const away = nodes.filter(({ name }) => {
    const found = seen.find((each) => each.name === name);
    return name !== node.name && found !== undefined && (!found.ready || found.cordonedByUs);
  });
  const servers = away.filter(({ role }) => role === "server");
  const names = away.map(({ name }) => name);
  if (node.role === "server" || servers.length > 0) return names;
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

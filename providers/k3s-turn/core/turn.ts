import { GroundworkError } from "../../errors.ts";
import type { ObservedNode } from "../../k3s-cluster/core/observed.ts";
import type { ClusterWish } from "../../k3s-cluster/core/arguments.ts";
import { refuseVersions } from "../../k3s-cluster/core/plan.ts";
import type { TurnArguments, TurnNode } from "./arguments.ts";

/** What the run before has left in the state. */
export interface Before {
  /** Names of the nodes that there were. */
  nodes: readonly string[];
  diskIds: Readonly<Record<string, string>>;
}

/** Tells the content of a root disk from every other one. */
export function identifyDisk(digest: string, generation: number): string {
  return `${digest} ${String(generation)}`;
}

/** Whether a node's disk is to be written anew. */
export function isRewritten(
  { diskIds = {} }: Pick<TurnArguments, "diskIds">,
  before: Before,
  name: string,
): boolean {
  const former = before.diskIds[name];
  return former !== undefined && diskIds[name] !== undefined && diskIds[name] !== former;
}

/** Whether the cluster itself goes with the disk of its only server, so that nobody need take turns. */
export function isLost(args: Pick<TurnArguments, "diskIds" | "nodes">, before: Before): boolean {
  const [server, ...others] = args.nodes.filter(({ role }) => role === "server");
  return server !== undefined && others.length === 0 && isRewritten(args, before, server.name);
}

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
 * pods are kept from them until they are back, whatever became of the run that began it: one whose disk
 * is new has no Node for a while, and a server is back when it has a vote in etcd.
 *
 * @param before names of nodes that are no new ones.
 */
export function listAway(
  seen: readonly ObservedNode[],
  { name, nodes, maxUnavailable }: Wish,
  before: readonly string[],
): string[] {
  const tellsVotes = seen.some(({ votes }) => votes !== undefined);
  const away = nodes.filter((node) => {
    if (node.name === name) return false;
    const found = seen.find((each) => each.name === node.name);
    if (found === undefined) return before.includes(node.name);
    const mute = node.role === "server" && tellsVotes && found.votes !== true;
    return !found.ready || found.cordonedByUs || mute;
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

/**
 * Decides whether a node may give its disk away, by the versions that it and the others shall have.
 *
 * @returns why it must wait; or that it goes, and whether the datastore is to be saved before, as for
 *   every upgrade of servers.
 * @throws GroundworkError `k3s-downgrade`, `k3s-skips-minor`, `k3s-agents-ahead`
 */
export function judgeRebuild(
  args: Pick<TurnArguments, "cluster" | "name" | "nodes" | "diskIds">,
  settings: ClusterWish,
  seen: readonly ObservedNode[],
  before: Before,
): { kind: "waits"; why: string } | { kind: "goes"; saves: boolean } {
  const { cluster, name } = args;
  refuseVersions(settings, seen);
  const names = args.nodes.filter(({ role }) => role === "server").map((node) => node.name);
  const servers = seen.filter((node) => names.includes(node.name));
  const behind = servers.filter(({ version }) => version !== settings.version);
  if (nodeOf(args).role === "server")
    return { kind: "goes", saves: behind.length > 0 && behind.length === servers.length };
  if (behind.length === 0) return { kind: "goes", saves: false };
  const list = behind.map(({ name: server, version }) => `${server} has ${version}`).join(", ");
  // No kubelet may be newer than the API that it talks to.
  if (names.some((server) => isRewritten(args, before, server)))
    return { kind: "waits", why: `servers come before agents, and ${list}` };
  throw new GroundworkError({
    code: "k3s-agents-ahead",
    message: `Refused to make agent "${name}" of cluster "${cluster}" anew with ${settings.version}: the servers keep their disks, and ${list}.`,
    next: "Change version first and run `make up`; then change the agents' base image.",
  });
}

/** @throws GroundworkError `k3s-data-lost` where nothing of the cluster would remain. */
export function refuseLoss(
  args: Pick<TurnArguments, "cluster" | "name" | "nodes" | "diskIds" | "settings">,
  before: Before,
): void {
  if (nodeOf(args).role !== "server" || !isLost(args, before)) return;
  if (args.settings === undefined || args.settings.restoreFrom !== undefined) return;
  throw new GroundworkError({
    code: "k3s-data-lost",
    message: `Refused to write the disk of "${args.name}" anew: it is the only server of cluster "${args.cluster}", whose data are on it.`,
    next: "Save a snapshot into an object store and name it in snapshots.restoreFrom (docs/k3s.md, Restore etcd), or add servers first; to begin anew, destroy the cluster's nodes.",
  });
}

import { setTimeout as sleep } from "node:timers/promises";
import { GroundworkError } from "../../errors.ts";
import type { Guest } from "../../host/effects/host.ts";
import type { ClusterArguments, NodeArguments } from "../core/arguments.ts";
import { type Membership, unitOf } from "../core/node-files.ts";
import type { NodeOrder, NodeProbe } from "../core/node-script.ts";
import { listBlocking, type ObservedNode } from "../core/observed.ts";
import { awaitAnswer, awaitApi } from "./api.ts";
import type { Deadline } from "./guests.ts";

/** A cluster at work: what all steps share. */
export interface Rollout {
  args: ClusterArguments;
  deadline: Deadline;
  guests: ReadonlyMap<string, Guest>;
  probes: ReadonlyMap<string, Promise<NodeProbe>>;
  /** A server whose API answers, or the one that founds the cluster. */
  through: NodeArguments;
  report: (line: string) => void;
  apply: (
    node: NodeArguments,
    membership: Membership,
    bounds?: Pick<NodeOrder, "restoreFrom" | "keepsBinary">,
  ) => Promise<"started" | "restarted" | "same">;
}

export function guestOf(rollout: Pick<Rollout, "guests">, name: string): Guest {
  const guest = rollout.guests.get(name);
  if (guest === undefined) throw new Error(`no node is called ${name}`);
  return guest;
}

export function nodeOf({ args }: Pick<Rollout, "args">, name: string): NodeArguments {
  const found = args.nodes.find((node) => node.name === name);
  if (found === undefined) throw new Error(`no node is called ${name}`);
  return found;
}

export const serverUrl = ({ address }: { address: string }): string => `https://${address}:6443`;

/** What must be in a map, for the arguments were checked. */
export function required<T>(map: ReadonlyMap<string, Promise<T>>, name: string): Promise<T> {
  const found = map.get(name);
  if (found === undefined) throw new Error(`no node is called ${name}`);
  return found;
}

/** The datastore that the cluster has now: it may be to become another one. */
export async function presentDatastore({
  args,
  probes,
  through,
}: Pick<Rollout, "args" | "probes" | "through">): Promise<ClusterArguments["datastore"]> {
  const { data } = await required(probes, through.name);
  return data === "sqlite" ? "sqlite" : args.datastore;
}

/** How a node finds its cluster: as before, where that server is still one of ours. */
export async function membershipOf(
  { args, probes, through }: Pick<Rollout, "args" | "probes" | "through">,
  node: NodeArguments,
): Promise<Membership> {
  const { data, server } = await required(probes, node.name);
  const known = args.nodes.some((each) => each.role === "server" && serverUrl(each) === server);
  if (known && server !== serverUrl(node)) return { kind: "joins", server };
  if (node.name === through.name || (node.role === "server" && data !== "none"))
    return { kind: "founds" };
  return { kind: "joins", server: serverUrl(through) };
}

/**
 * Waits until a node's k3s has started anew. The API goes on calling it Ready meanwhile, and another
 * server must not be restarted before this one is back in etcd.
 */
export async function awaitRestarted(rollout: Rollout, node: NodeArguments): Promise<void> {
  const unit = unitOf(node.role);
  await guestOf(rollout, node.name).run(`until systemctl start ${unit}; do sleep 1; done`, {
    purpose: `wait for ${unit} to have started`,
    timeoutSeconds: Math.ceil(rollout.deadline.left()),
  });
  await awaitNodes(rollout, [node]);
}

/**
 * Waits until so many of the others are there that these nodes may be restarted or drained.
 *
 * @returns the nodes as the API lists them then.
 * @throws GroundworkError `k3s-node-away`
 */
export async function awaitRoom(
  { args, deadline, report, ...rollout }: Rollout,
  names: readonly string[],
): Promise<readonly ObservedNode[]> {
  const guest = guestOf(rollout, rollout.through.name);
  let told = "";
  for (;;) {
    const seen = await awaitAnswer({ guest, deadline });
    const blocking = listBlocking(args, seen, names);
    if (blocking.length === 0) return seen;
    const why = `${blocking.join(", ")} ${blocking.length > 1 ? "are" : "is"} away`;
    if (told !== why) report(`${names.join(", ")} waits: ${why}`);
    told = why;
    if (deadline.passed())
      throw new GroundworkError({
        code: "k3s-node-away",
        message: `${names.join(", ")} could not be changed after ${deadline.elapsed().toFixed(0)} s: ${why}.`,
        next: "Bring these nodes back, then `make up` goes on.",
      });
    await sleep(1000);
  }
}

/** Has a node run with what it shall have, and waits for it where that is something else. */
export async function renew(rollout: Rollout, node: NodeArguments): Promise<void> {
  const isOther = ({ name, role }: NodeArguments): boolean =>
    role === "server" && name !== node.name;
  // A server more that is away may be one too many for etcd.
  if (node.role === "server" && rollout.args.nodes.some(isOther))
    await awaitRoom(rollout, [node.name]);
  const became = await rollout.apply(node, await membershipOf(rollout, node));
  if (became === "same") return;
  rollout.report(`${node.name}: k3s was ${became} with what changed`);
  await awaitRestarted(rollout, node);
}

/** Waits until these nodes are as wished. */
export async function awaitNodes(
  { args, guests, through, deadline, report }: Rollout,
  nodes: readonly NodeArguments[],
): Promise<readonly ObservedNode[]> {
  return awaitApi(
    { guest: guestOf({ guests }, through.name), deadline, report },
    {
      version: args.version,
      nodes: nodes.map(({ name }) => ({ name, labels: {} })),
      ready: args.waitForReady,
      coreDns: false,
    },
  );
}

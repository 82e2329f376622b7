import { setTimeout as sleep } from "node:timers/promises";
import { GroundworkError } from "../../errors.ts";
import type { NodeArguments } from "../core/arguments.ts";
import type { NodeProbe } from "../core/node-script.ts";
import type { ServerSighting } from "../core/plan.ts";
import { tokenDigest } from "../core/tokens.ts";
import { guestOf, membershipOf, required, type Rollout } from "./at-work.ts";
import { firstAnswer } from "./first-answer.ts";
import { awaitProbe } from "./guests.ts";

/** Nodes on their way in. */
export interface Entrance {
  /** Of all of them, in time. */
  probes: Map<string, Promise<NodeProbe>>;
  /** Of those that have been entered so far. */
  known: Map<string, NodeProbe>;
}

/** Begins to enter all nodes at once. */
export function enterNodes(
  { args, guests, deadline, report }: Pick<Rollout, "args" | "guests" | "deadline" | "report">,
  onEntered: (node: NodeArguments, probe: NodeProbe) => void,
): Entrance {
  const known = new Map<string, NodeProbe>();
  const enter = async (node: NodeArguments): Promise<NodeProbe> => {
    const probe = await awaitProbe(guestOf({ guests }, node.name), node.role, deadline);
    known.set(node.name, probe);
    report(`${deadline.elapsed().toFixed(0)} s: ${node.name} can be entered`);
    onEntered(node, probe);
    return probe;
  };
  const probes = new Map(args.nodes.map((node) => [node.name, enter(node)]));
  for (const probe of probes.values()) probe.catch(() => undefined); // each is awaited in its turn
  return { probes, known };
}

/** How long nodes are waited for that cannot be entered where a cluster exists without them. */
const patience = (): Promise<void> => sleep(60_000, undefined, { ref: false });

/**
 * What the servers have on their disks: of all of them, unless one is seen that has the cluster's data.
 * Then those that cannot be entered are left out after a while.
 *
 * @throws GroundworkError `k3s-node-unreachable`
 */
export async function lookAtServers(
  { probes, known }: Entrance,
  servers: readonly NodeArguments[],
): Promise<ServerSighting[]> {
  const hasData = (probe: NodeProbe | undefined): boolean => (probe?.data ?? "none") !== "none";
  let tell: () => void = () => undefined;
  const exists = new Promise<void>((resolve) => (tell = resolve));
  const all = Promise.all(
    servers.map(async ({ name }) => {
      if (hasData(await required(probes, name))) tell();
    }),
  );
  await Promise.race([all, exists.then(patience)]).catch((error: unknown) => {
    if (!servers.some(({ name }) => hasData(known.get(name)))) throw error;
  });
  return servers.flatMap(({ name }) => {
    const probe = known.get(name);
    return probe === undefined ? [] : [{ name, hasData: hasData(probe) }];
  });
}

/** Those of the nodes that cannot be entered though they were given a while for it. */
export async function listLate(
  { probes, known }: Entrance,
  names: readonly string[],
): Promise<string[]> {
  await Promise.race([Promise.allSettled(names.map((name) => required(probes, name))), patience()]);
  return names.filter((name) => !known.has(name));
}

/**
 * A server that has the cluster's data and answers; those that stand still are started.
 *
 * @param mends whether the only one is given what it shall have where it does not answer.
 * @throws GroundworkError `k3s-not-ready`
 */
export async function findAnswering(
  base: Omit<Rollout, "through">,
  servers: readonly NodeArguments[],
  mends: boolean,
): Promise<NodeArguments> {
  const { guests, deadline, report } = base;
  const asked = servers.map((node) => ({ node, guest: guestOf({ guests }, node.name) }));
  for (const { guest } of asked)
    await guest.run("systemctl start --no-block k3s", {
      purpose: "start k3s",
    });
  for (let looks = 0; ; looks++) {
    const answer = await firstAnswer(asked, 30);
    if (answer !== undefined) return answer.server.node;
    report(`${deadline.elapsed().toFixed(0)} s: no server's API answers yet`);
    const [first] = servers;
    if (looks === 0 && mends && first !== undefined) await mend(base, first);
    if (deadline.passed())
      throw new GroundworkError({
        code: "k3s-not-ready",
        message: `none of its servers' APIs answers (${servers.map(({ name }) => name).join(", ")}).`,
        next: "See docs/k3s.md, API unreachable.",
      });
    await sleep(1000);
  }
}

/**
 * Gives a server what it shall have though nobody can be asked what is to be done, for it may have been
 * started with something that it cannot run with. Its version and its tokens stay: these change by steps.
 */
async function mend(base: Omit<Rollout, "through">, server: NodeArguments): Promise<void> {
  const { token } = await required(base.probes, server.name);
  if (token !== tokenDigest(base.args, "server")) return;
  const membership = await membershipOf({ ...base, through: server }, server);
  const became = await base.apply(server, membership, { keepsBinary: true });
  if (became === "restarted") base.report(`${server.name}: k3s was restarted with what changed`);
}

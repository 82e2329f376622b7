import { setTimeout as sleep } from "node:timers/promises";
import { GroundworkError } from "../../errors.ts";
import type { Guest } from "../../host/effects/host.ts";
import { cordonMark, type ObservedNode } from "../../k3s-cluster/core/observed.ts";
import { unitOf } from "../../k3s-cluster/core/node-files.ts";
import { readApi, runKubectl } from "../../k3s-cluster/effects/api.ts";
import {
  awaitProbe,
  type Deadline,
  openNodes,
  startDeadline,
} from "../../k3s-cluster/effects/guests.ts";
import { say } from "../../telemetry/effects/log.ts";
import { tokenDigest } from "../../k3s-cluster/core/tokens.ts";
import type { TurnArguments, TurnNode } from "../core/arguments.ts";
import { rejoin } from "../../k3s-cluster/effects/rejoin.ts";
import { saveDatastore } from "../../k3s-cluster/effects/steps.ts";
import {
  type Before,
  isBack,
  isLost,
  isRewritten,
  judgeRebuild,
  listAway,
  nodeOf,
  refuseLoss,
} from "../core/turn.ts";

const pauseMs = 1000;

/** Nodes of one run decide one after the other, so that no two see that nobody is away. */
let deciding: Promise<unknown> = Promise.resolve();

function alone<T>(work: () => Promise<T>): Promise<T> {
  const result = deciding.then(work);
  deciding = result.catch(() => undefined);
  return result;
}

/** A server whose API answers, and the nodes as it lists them; the node's own comes last. */
async function look(
  args: TurnArguments,
  guests: ReadonlyMap<string, Guest>,
): Promise<{ name: string; guest: Guest; seen: readonly ObservedNode[] } | undefined> {
  const isOwn = ({ name }: TurnNode): boolean => name === args.name;
  const others = args.nodes.filter((node) => !isOwn(node));
  for (const { name, role } of [...others, ...args.nodes.filter(isOwn)]) {
    const guest = guests.get(name);
    if (role !== "server" || guest === undefined) continue;
    const sighting = await readApi(guest, 30);
    if (sighting.kind === "answers") return { name, guest, seen: sighting.nodes };
  }
  return undefined;
}

function tooLate(args: TurnArguments, deadline: Deadline, seen: string): GroundworkError {
  const { name, cluster } = args;
  return new GroundworkError({
    code: "k3s-node-away",
    message: `Node "${name}" of cluster "${cluster}" could not have its turn after ${deadline.elapsed().toFixed(0)} s: ${seen}.`,
    next: "See docs/k3s.md, Other sizes; with upgrade.nodeByNode: false all nodes change at once.",
  });
}

/**
 * Drains a node once no other one is away.
 *
 * @throws GroundworkError `k3s-node-away`, or what `judgeRebuild` and `refuseLoss` throw
 */
export async function leave(args: TurnArguments, before: Before): Promise<void> {
  const { name, nodes } = args;
  refuseLoss(args, before);
  if (isLost(args, before)) return;
  const rewritten = isRewritten(args, before, name);
  const deadline = startDeadline(args.timeoutSeconds);
  const guests = await openNodes(args, nodes);
  let told = "";
  for (;;) {
    let seen = "no server's API answers";
    const through = await alone(async () => {
      const sighting = await look(args, guests);
      if (sighting === undefined) return undefined;
      const own = sighting.seen.find((each) => each.name === name);
      if (own === undefined) return "absent";
      const away = own.cordonedByUs ? [] : listAway(sighting.seen, args, before.nodes);
      seen = `${away.join(", ")} ${away.length > 1 ? "are" : "is"} away`;
      if (away.length > 0) return undefined;
      const { settings } = args;
      if (rewritten && settings !== undefined) {
        const verdict = judgeRebuild(args, settings, sighting.seen, before);
        if (verdict.kind === "waits") {
          seen = verdict.why;
          return undefined;
        }
        const { token } = await awaitProbe(sighting.guest, "server", deadline);
        if (token !== tokenDigest(settings, "server")) throw tokensFirst(args);
        if (verdict.saves) await saveDatastore(sighting.guest, settings, deadline);
      }
      await runKubectl(sighting.guest, `keep pods from ${name}`, [
        ["annotate", "node", name, "--overwrite", `${cordonMark}=true`],
        ["cordon", name],
      ]);
      return { guest: sighting.guest, alive: own.ready };
    });
    if (through === "absent") return;
    if (through !== undefined) {
      say(`${args.cluster}: ${name} has its turn`);
      // Pods of a node that is dead never say that they are gone.
      if (through.alive) await drain(args, through.guest);
      return;
    }
    if (seen !== told) say(`${args.cluster}: ${name} waits: ${seen}`);
    told = seen;
    if (deadline.passed()) throw tooLate(args, deadline, seen);
    await sleep(pauseMs);
  }
}

/** A node with a new disk would come with tokens that the cluster has not yet. */
function tokensFirst({ cluster, name }: TurnArguments): GroundworkError {
  return new GroundworkError({
    code: "k3s-tokens-first",
    message: `Refused to make node "${name}" of cluster "${cluster}" anew: the servers do not have the tokens yet that were drawn for this run.`,
    next: "Change tokenGeneration in a run of its own; then change the base image.",
  });
}

/** Pods of the only node have nowhere to go. */
async function drain({ name, nodes, ...args }: TurnArguments, through: Guest): Promise<void> {
  if (nodes.length === 1) return;
  const seconds = args.drainTimeoutSeconds;
  const words = ["drain", name, "--ignore-daemonsets", "--delete-emptydir-data"];
  await runKubectl(
    through,
    `drain node ${name} of its pods`,
    [[...words, `--timeout=${String(seconds)}s`]],
    seconds + 60,
  );
}

/**
 * Waits until a node that has booted is back in its cluster, and lets pods onto it. One with a new disk
 * joins anew; where no server answers that is left to the rollout, which knows how a cluster begins.
 *
 * @throws GroundworkError `k3s-node-away`, `k3s-node-unreachable`
 */
export async function comeBack(args: TurnArguments): Promise<void> {
  const node = nodeOf(args);
  const deadline = startDeadline(args.timeoutSeconds);
  const guests = await openNodes(args, args.nodes);
  const guest = guests.get(node.name);
  if (guest === undefined) throw new Error(`no node is called ${node.name}`);
  const { joined } = await awaitProbe(guest, node.role, deadline);
  if (!joined) {
    const sighting = await look(args, guests);
    if (args.settings === undefined || sighting === undefined) return;
    const isListed = sighting.seen.some(({ name }) => name === node.name);
    await rejoin(args.settings, node.name, {
      ...{ guests, deadline, through: sighting.name, isListed },
    });
    say(`${args.cluster}: ${node.name} is back after ${deadline.elapsed().toFixed(0)} s`);
    return;
  }
  await guest.run(`until systemctl start ${unitOf(node.role)}; do sleep 1; done`, {
    ...{ purpose: "start k3s", timeoutSeconds: Math.ceil(deadline.left()) },
  });
  const bootId = await guest.run("cat /proc/sys/kernel/random/boot_id", {
    purpose: "see which boot of the machine this is",
  });
  for (;;) {
    const sighting = await look(args, guests);
    if (sighting !== undefined && isBack(sighting.seen, { ...node, bootId: bootId.trim() })) {
      await runKubectl(sighting.guest, `let pods onto ${node.name}`, [
        ["uncordon", node.name],
        ["annotate", "node", node.name, `${cordonMark}-`],
      ]);
      say(`${args.cluster}: ${node.name} is back after ${deadline.elapsed().toFixed(0)} s`);
      return;
    }
    if (deadline.passed())
      throw tooLate(
        args,
        deadline,
        sighting === undefined ? "no server's API answers" : "it is not Ready",
      );
    await sleep(pauseMs);
  }
}

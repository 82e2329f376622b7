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
import type { TurnArguments } from "../core/arguments.ts";
import { isBack, listAway, nodeOf } from "../core/turn.ts";

const pauseMs = 1000;

/** Nodes of one run decide one after the other, so that no two see that nobody is away. */
let deciding: Promise<unknown> = Promise.resolve();

function alone<T>(work: () => Promise<T>): Promise<T> {
  const result = deciding.then(work);
  deciding = result.catch(() => undefined);
  return result;
}

/** A server whose API answers, and the nodes as it lists them. */
async function look(
  args: TurnArguments,
  guests: ReadonlyMap<string, Guest>,
): Promise<{ guest: Guest; seen: readonly ObservedNode[] } | undefined> {
  for (const { name, role } of args.nodes) {
    const guest = guests.get(name);
    if (role !== "server" || guest === undefined) continue;
    const sighting = await readApi(guest, 30);
    if (sighting.kind === "answers") return { guest, seen: sighting.nodes };
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
 * @throws GroundworkError `k3s-node-away`
 */
export async function leave(args: TurnArguments): Promise<void> {
  const { name, nodes } = args;
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
      const away = own.cordonedByUs ? [] : listAway(sighting.seen, args);
      seen = `${away.join(", ")} ${away.length > 1 ? "are" : "is"} away`;
      if (away.length > 0) return undefined;
      await runKubectl(sighting.guest, `keep pods from ${name}`, [
        ["annotate", "node", name, "--overwrite", `${cordonMark}=true`],
        ["cordon", name],
      ]);
      return sighting.guest;
    });
    if (through === "absent") return;
    if (through !== undefined) {
      say(`${args.cluster}: ${name} has its turn`);
      await drain(args, through);
      return;
    }
    if (seen !== told) say(`${args.cluster}: ${name} waits: ${seen}`);
    told = seen;
    if (deadline.passed()) throw tooLate(args, deadline, seen);
    await sleep(pauseMs);
  }
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
 * has no k3s yet, and is no concern of this.
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
  if (!joined) return;
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

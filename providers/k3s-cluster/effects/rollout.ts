import { GroundworkError, redact } from "../../errors.ts";
import type { Guest } from "../../host/effects/host.ts";
import { say } from "../../telemetry/effects/log.ts";
import { inSpan } from "../../telemetry/effects/telemetry.ts";
import type { ClusterArguments, NodeArguments } from "../core/arguments.ts";
import { renderKubeconfig } from "../core/kubeconfig.ts";
import type { NodeProbe } from "../core/node-script.ts";
import type { ObservedNode } from "../core/observed.ts";
import { planBeginning, planCluster, renderStep } from "../core/plan.ts";
import {
  awaitNodes,
  guestOf,
  nodeOf,
  presentDatastore,
  renew,
  required,
  type Rollout,
} from "./at-work.ts";
import { tokenDigest } from "../core/tokens.ts";
import { awaitAnswer, awaitApi, readKubeconfig, runKubectl } from "./api.ts";
import { forgetNode, joinAnew, nodeApplier } from "./apply-node.ts";
import {
  type Entrance,
  enterNodes,
  findAnswering,
  listLate,
  lookAtServers,
} from "./find-cluster.ts";
import { awaitProbe, openNodes, readDiagnosis, startDeadline } from "./guests.ts";
import { runStep } from "./steps.ts";

/** What a run knows of an earlier one. */
export interface Before {
  /** An earlier run saw the cluster. */
  wasFounded: boolean;
  /** Nodes that earlier runs made. */
  ours: readonly string[];
}

export interface Outcome {
  kubeconfig: string;
  nodes: readonly ObservedNode[];
  /** What was done, as preview calls it. */
  done: string[];
  /** From the first node that could be entered, in seconds. */
  timings: Record<string, number>;
}

/** Makes a cluster what it shall be, from whatever is there; see planCluster for the order. */
export async function ensureCluster(args: ClusterArguments, before: Before): Promise<Outcome> {
  const deadline = startDeadline(args.timeoutSeconds);
  const report = (line: string): void => say(`${args.cluster}: ${line}`);
  const guests = await openNodes(args, args.nodes);
  try {
    return await inSpan(`cluster ${args.cluster}`, { "groundwork.cluster": args.cluster }, () =>
      roll(args, before, { deadline, report, guests }),
    );
  } catch (error) {
    throw await explain(args, guests, error);
  }
}

async function roll(
  args: ClusterArguments,
  before: Before,
  { deadline, report, guests }: Pick<Rollout, "deadline" | "report" | "guests">,
): Promise<Outcome> {
  const timings: Record<string, number> = {};
  const time = (name: string): void => {
    timings[name] ??= Math.round(deadline.elapsed() * 10) / 10;
  };
  const { apply, prepare } = nodeApplier(args, { guests, report });
  const entrance = enterNodes({ args, guests, deadline, report }, (node, { joined, active }) => {
    time("first node entered");
    if (!joined && !active) prepare(node);
  });
  const base = { args, deadline, guests, report, apply, probes: entrance.probes };
  const servers = args.nodes.filter(({ role }) => role === "server");
  const sightings = await lookAtServers(entrance, servers);
  time("servers entered");
  const beginning = planBeginning(
    sightings,
    before.wasFounded,
    args.cluster,
    args.restoreFrom !== undefined,
  );
  if (beginning.kind === "refused") throw beginning.reason;
  const found = beginning.kind === "found";
  const through =
    beginning.kind === "exists"
      ? await findAnswering(
          base,
          beginning.servers.map((name) => nodeOf(base, name)),
          beginning.servers.length === 1 && sightings.length === servers.length,
        )
      : nodeOf(base, beginning.server);
  const rollout: Rollout = { ...base, through };
  if (beginning.kind === "restore") {
    const probe = await restore(rollout);
    entrance.probes.set(through.name, Promise.resolve(probe));
    entrance.known.set(through.name, probe);
  }
  if (!found) time("API answers");
  const { seen, late } = found ? { seen: [], late: [] } : await readPresent(rollout, entrance);
  const steps = planCluster(
    args,
    found
      ? { kind: "none" }
      : {
          ...{ kind: "exists", nodes: seen, datastore: await presentDatastore(rollout) },
          ...listStale(args, entrance, seen),
        },
    before.ours,
  );
  const renewed = (): Rollout["deadline"] => startDeadline(args.timeoutSeconds);
  /** Only where a cluster is founded all of its nodes have the time together. */
  const unhurried = (): Rollout => (found ? rollout : { ...rollout, deadline: renewed() });
  const pending: Promise<void>[] = [];
  let answers: Promise<unknown> = Promise.resolve();
  for (const step of steps) {
    report(renderStep(step));
    const work = runStep(unhurried(), step);
    // Agents find the API by themselves, however long it takes, and need not wait for who founds it.
    if (step.kind === "found" || (step.kind === "join" && step.role === "agent"))
      pending.push(work);
    // What fails meanwhile ends the wait for what can no longer come.
    else await Promise.race([work, ...pending.map((each) => each.then(() => work))]);
    work.catch(() => undefined);
    if (step.kind === "found")
      answers = work
        .then(() => awaitApi(apiOf(rollout), anyAnswer))
        .then(() => time("API answers"));
    answers.catch(() => undefined);
  }
  await Promise.all(pending);
  // What changed on nodes that were there before, servers one by one: first what is away already.
  const present = args.nodes.filter(({ name }) => seen.some((each) => each.name === name));
  const isReady = ({ name }: NodeArguments): boolean =>
    seen.some((each) => each.name === name && each.ready);
  const entered = present.filter(({ name }) => !late.includes(name));
  for (const node of [...entered.filter((each) => !isReady(each)), ...entered.filter(isReady)])
    await renew(unhurried(), node);
  for (const name of late) await takeLate(unhurried(), nodeOf(base, name));
  time("k3s started everywhere");
  await answers;
  const nodes = await settle(unhurried());
  time("all as wished");
  const phases = Object.entries(timings).sort(([, one], [, other]) => one - other);
  report(phases.map(([name, seconds]) => `${name} after ${seconds.toFixed(0)} s`).join(", "));
  const kubeconfig = await readKubeconfig(guestOf(rollout, through.name));
  return {
    nodes,
    timings,
    done: steps.map(renderStep),
    kubeconfig: renderKubeconfig(kubeconfig, args.cluster, args.apiAddress),
  };
}

/** Nothing but that the API answers. */
const anyAnswer = { version: "", nodes: [], ready: false, coreDns: false };

const apiOf = ({ guests, through, deadline, report }: Rollout) => ({
  ...{ guest: guestOf({ guests }, through.name), deadline, report },
});

/** A node of the cluster that could be entered in the end. */
async function takeLate(rollout: Rollout, node: NodeArguments): Promise<void> {
  const { joined } = await required(rollout.probes, node.name);
  return joined ? renew(rollout, node) : joinAnew(rollout, node, true);
}

/** Has a new server begin with a snapshot; what the one before it was known by is forgotten. */
async function restore(rollout: Rollout): Promise<NodeProbe> {
  const { args, through, deadline, report } = rollout;
  report(`${through.name} begins with snapshot ${args.restoreFrom ?? ""}`);
  await rollout.apply(through, { kind: "founds" }, { restoreFrom: args.restoreFrom });
  const guest = guestOf(rollout, through.name);
  await awaitAnswer({ guest, deadline });
  const password = `${through.name}.node-password.k3s`;
  await runKubectl(guest, `forget the password of the ${through.name} before`, [
    ["--namespace", "kube-system", "delete", "secret", password, "--ignore-not-found"],
  ]);
  return awaitProbe(guest, "server", deadline);
}

/**
 * What the API lists, less the Nodes of machines whose disk was made anew: these are deleted.
 *
 * @returns the others, and the names of those among them that cannot be entered yet.
 */
async function readPresent(
  rollout: Rollout,
  entrance: Entrance,
): Promise<{ seen: readonly ObservedNode[]; late: readonly string[] }> {
  const guest = guestOf(rollout, rollout.through.name);
  const nodes = await awaitAnswer({ guest, deadline: rollout.deadline });
  const wished = rollout.args.nodes.map(({ name }) => name);
  const listed = wished.filter((name) => nodes.some((node) => node.name === name));
  const late = await listLate(entrance, listed);
  for (const name of late) rollout.report(`${name} cannot be entered yet; it comes last`);
  const stale = listed.filter((name) => entrance.known.get(name)?.joined === false);
  for (const name of stale) await forgetNode(rollout, name);
  return { seen: nodes.filter(({ name }) => !stale.includes(name)), late };
}

/** Nodes that do not run with the tokens and certificates they shall have, by what is on them. */
function listStale(
  args: ClusterArguments,
  { known }: Entrance,
  seen: readonly ObservedNode[],
): { staleTokens: string[]; staleCertificates: string[] } {
  const probed = args.nodes.flatMap(({ name, role }) => {
    const probe = seen.some((node) => node.name === name) ? known.get(name) : undefined;
    return probe === undefined ? [] : [{ name, role, probe }];
  });
  const { certificateGeneration = 0 } = args;
  return {
    staleTokens: probed
      .filter(({ role, probe }) => probe.token !== tokenDigest(args, role))
      .map(({ name }) => name),
    staleCertificates: probed
      .filter(({ probe }) => probe.certificates !== certificateGeneration)
      .map(({ name }) => name),
  };
}

/** Waits for all, after labels and taints that a node gives itself only when it joins were set. */
async function settle(rollout: Rollout): Promise<readonly ObservedNode[]> {
  const { args, through } = rollout;
  const nodes = await awaitNodes(rollout, args.nodes);
  const commands = args.nodes.flatMap(({ name, labels, taints }) => {
    const node = nodes.find((each) => each.name === name);
    const missing = Object.entries(labels).filter(([key, value]) => node?.labels[key] !== value);
    const untainted = taints.filter((taint) => node?.taints.includes(taint) !== true);
    return [
      ...(missing.length === 0
        ? []
        : [["label", "node", name, "--overwrite", ...missing.map(([k, v]) => `${k}=${v}`)]]),
      ...(untainted.length === 0 ? [] : [["taint", "node", name, "--overwrite", ...untainted]]),
    ];
  });
  const guest = guestOf(rollout, through.name);
  if (commands.length > 0) await runKubectl(guest, "set labels and taints", commands);
  return awaitApi(apiOf(rollout), {
    ...{ version: args.version, nodes: args.nodes },
    ...{ ready: args.waitForReady, coreDns: args.coreDns },
  });
}

/** The error with the ends of the logs of the nodes that it is about. */
export async function explain(
  args: ClusterArguments,
  guests: ReadonlyMap<string, Guest>,
  error: unknown,
): Promise<unknown> {
  if (!(error instanceof GroundworkError) || error.code === "k3s-data-lost") return error;
  const named = args.nodes.filter(({ name }) => error.message.includes(name));
  const about = named.length > 0 ? named : args.nodes.filter(({ role }) => role === "server");
  const logs = await Promise.all(
    about.slice(0, 3).map(async ({ name, role }) => {
      const text = await readDiagnosis(guestOf({ guests }, name), role);
      return `On ${name}:\n${text.trimEnd().replaceAll(/^/gm, "    ")}`;
    }),
  );
  const message = error.message.replace(error.next, "").trimEnd();
  return new GroundworkError({
    code: error.code,
    message: redact(
      `Cluster "${args.cluster}" is not ready: ${message}\n${logs.join("\n")}\nNext:`,
      [args.token, args.agentToken],
    ),
    next: error.next,
    cause: error,
  });
}

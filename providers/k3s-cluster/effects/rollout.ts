import { GroundworkError, redact } from "../../errors.ts";
import type { Guest } from "../../host/effects/host.ts";
import { say } from "../../telemetry/effects/log.ts";
import { inSpan } from "../../telemetry/effects/telemetry.ts";
import type { ClusterArguments, NodeArguments } from "../core/arguments.ts";
import { renderKubeconfig } from "../core/kubeconfig.ts";
import type { NodeProbe } from "../core/node-script.ts";
import type { ObservedNode } from "../core/observed.ts";
import { planBeginning, planCluster, renderStep } from "../core/plan.ts";
import { awaitNodes, guestOf, presentDatastore, renew, required, type Rollout } from "./at-work.ts";
import { tokenDigest } from "../core/tokens.ts";
import { awaitAnswer, awaitApi, readApi, readKubeconfig, runKubectl } from "./api.ts";
import { forgetNode, nodeApplier } from "./apply-node.ts";
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
  const probes = new Map(
    args.nodes.map(({ name, role }) => [
      name,
      awaitProbe(guestOf({ guests }, name), role, deadline).then((probe) => {
        time("first node entered");
        report(`${deadline.elapsed().toFixed(0)} s: ${name} can be entered`);
        return probe;
      }),
    ]),
  );
  for (const probe of probes.values()) probe.catch(() => undefined); // each is awaited in its turn
  const servers = args.nodes.filter(({ role }) => role === "server");
  const sightings = await Promise.all(
    servers.map(async ({ name }) => {
      const { data } = await required(probes, name);
      return { name, hasData: data !== "none" };
    }),
  );
  time("servers entered");
  const beginning = planBeginning(
    sightings,
    before.wasFounded,
    args.cluster,
    args.restoreFrom !== undefined,
  );
  if (beginning.kind === "refused") throw beginning.reason;
  const candidates = beginning.kind === "exists" ? beginning.servers : [beginning.server];
  const restored = beginning.kind === "restore" ? beginning.server : undefined;
  const apply = nodeApplier(args, { guests, report }, restored);
  const of = (names: readonly string[]): NodeArguments[] =>
    servers.filter(({ name }) => names.includes(name));
  const base = { args, deadline, guests, probes, report, apply };

  const found = beginning.kind === "found";
  const through =
    found || restored !== undefined
      ? of(candidates)[0]
      : await findAnswering({ guests, deadline, report }, of(candidates));
  if (through === undefined) throw new Error("a cluster has a server");
  const rollout: Rollout = { ...base, through };
  if (restored !== undefined) probes.set(restored, Promise.resolve(await restore(rollout)));
  const seen = found ? [] : await readStale(rollout);
  const staleTokens = await listStaleTokens(rollout, seen);
  const steps = planCluster(
    args,
    found
      ? { kind: "none" }
      : { kind: "exists", nodes: seen, staleTokens, datastore: await presentDatastore(rollout) },
    before.ours,
  );
  const renewed = (): Rollout["deadline"] => startDeadline(args.timeoutSeconds);
  /** Only where a cluster is founded all of its nodes have the time together. */
  const unhurried = (): Rollout => (found ? rollout : { ...rollout, deadline: renewed() });
  const pending: Promise<void>[] = [];
  for (const step of steps) {
    report(renderStep(step));
    const work = runStep(unhurried(), step);
    // Agents find the API by themselves, however long it takes, and need not wait for who founds it.
    if (step.kind === "found" || (step.kind === "join" && step.role === "agent"))
      pending.push(work);
    // What fails meanwhile ends the wait for what can no longer come.
    else await Promise.race([work, ...pending.map((each) => each.then(() => work))]);
    work.catch(() => undefined);
  }
  await Promise.all(pending);
  // What changed on nodes that were there before, servers one by one.
  for (const node of args.nodes.filter(({ name }) => seen.some((each) => each.name === name)))
    await renew(unhurried(), node);
  time("k3s started everywhere");
  const nodes = await settle(unhurried());
  time("all as wished");
  const kubeconfig = await readKubeconfig(guestOf(rollout, through.name));
  return {
    nodes,
    timings,
    done: steps.map(renderStep),
    kubeconfig: renderKubeconfig(kubeconfig, args.cluster, args.apiAddress),
  };
}

/** Has a new server begin with a snapshot; what the one before it was known by is forgotten. */
async function restore(rollout: Rollout): Promise<NodeProbe> {
  const { args, through, deadline, report } = rollout;
  report(`${through.name} begins with snapshot ${args.restoreFrom ?? ""}`);
  await rollout.apply(through, { kind: "founds" });
  const guest = guestOf(rollout, through.name);
  await awaitAnswer({ guest, deadline });
  const password = `${through.name}.node-password.k3s`;
  await runKubectl(guest, `forget the password of the ${through.name} before`, [
    ["--namespace", "kube-system", "delete", "secret", password, "--ignore-not-found"],
  ]);
  return awaitProbe(guest, "server", deadline);
}

/** A server that has the cluster's data and answers; those that stand still are started. */
async function findAnswering(
  { guests, deadline, report }: Pick<Rollout, "guests" | "deadline" | "report">,
  servers: readonly NodeArguments[],
): Promise<NodeArguments | undefined> {
  for (const { name } of servers)
    await guestOf({ guests }, name).run("systemctl start --no-block k3s", {
      purpose: "start k3s",
    });
  for (;;) {
    for (const server of servers)
      if ((await readApi(guestOf({ guests }, server.name), 30)).kind === "answers") return server;
    const [first] = servers;
    if (first === undefined) return undefined;
    report(`${deadline.elapsed().toFixed(0)} s: no server's API answers yet`);
    if (deadline.passed())
      throw new GroundworkError({
        code: "k3s-not-ready",
        message: `none of its servers' APIs answers (${servers.map(({ name }) => name).join(", ")}).`,
        next: "See docs/k3s.md, API unreachable.",
      });
  }
}

/** What the API lists, less the Nodes of machines whose disk was made anew: these are deleted. */
async function readStale(rollout: Rollout): Promise<readonly ObservedNode[]> {
  const guest = guestOf(rollout, rollout.through.name);
  const nodes = await awaitAnswer({ guest, deadline: rollout.deadline });
  const stale: string[] = [];
  for (const { name } of rollout.args.nodes)
    if (nodes.some((node) => node.name === name)) {
      const probe = await required(rollout.probes, name);
      if (!probe.joined) stale.push(name);
    }
  for (const name of stale) await forgetNode(rollout, name);
  return nodes.filter(({ name }) => !stale.includes(name));
}

/** Nodes that do not run with the tokens they shall have, by what is on them. */
async function listStaleTokens(
  { args, probes }: Rollout,
  seen: readonly ObservedNode[],
): Promise<string[]> {
  const stale: string[] = [];
  for (const { name, role } of args.nodes)
    if (seen.some((node) => node.name === name)) {
      const { token } = await required(probes, name);
      if (token !== tokenDigest(args, role)) stale.push(name);
    }
  return stale;
}

/** Waits for all, after labels and taints that a node gives itself only when it joins were set. */
async function settle(rollout: Rollout): Promise<readonly ObservedNode[]> {
  const { args, guests, through, deadline, report } = rollout;
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
  return awaitApi(
    { guest: guestOf({ guests }, through.name), deadline, report },
    { version: args.version, nodes: args.nodes, ready: args.waitForReady, coreDns: args.coreDns },
  );
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

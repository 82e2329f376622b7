import type * as pulumi from "@pulumi/pulumi";
import { GroundworkError } from "../errors.ts";
import {
  checkArgs,
  type CheckResult,
  isUnknown,
  type Properties,
  sameValue,
  UnfinishedUpdate,
} from "../handler.ts";
import { say } from "../telemetry/effects/log.ts";
import {
  type ClusterArguments,
  clusterSchema,
  type ClusterWish,
  wishSchema,
} from "./core/arguments.ts";
import { changedArguments } from "./core/diff.ts";
import { renderKubeconfig } from "./core/kubeconfig.ts";
import type { ObservedNode } from "./core/observed.ts";
import { type ObservedCluster, refuseDatastore, renderPlan } from "./core/plan.ts";
import { observeCluster, readCurrentKubeconfig } from "./effects/observe.ts";
import { ensureCluster } from "./effects/rollout.ts";

/**
 * Validates, and computes `plan`, so that preview shows the steps. The cluster of an earlier run is
 * asked how it is; where it does not answer, the plan goes by what that run had made.
 */
export async function check(olds: Properties, news: Properties): Promise<CheckResult> {
  const inputs = withoutPlan(news);
  const { failures } = checkArgs(clusterSchema, inputs);
  const wish = wishSchema.safeParse(inputs);
  if (failures.length > 0 || !wish.success) return { inputs: { ...inputs, plan: [] }, failures };
  const before = clusterSchema.safeParse(withoutPlan(olds));
  const observed: ObservedCluster = before.success
    ? {
        ...{ kind: "exists", ...(await observe(before.data)), datastore: before.data.datastore },
        staleTokens: stale(before.data, news),
        staleCertificates: staleCertificates(before.data, wish.data),
      }
    : { kind: "none" };
  const reason = before.success ? refuseDatastore(before.data, wish.data) : undefined;
  if (reason !== undefined) failures.push({ property: "", reason });
  const ours = before.success ? before.data.nodes.map(({ name }) => name) : [];
  const plan = renderPlan(wish.data, observed, ours);
  return { inputs: { ...inputs, plan }, failures };
}

/** The nodes whose tokens are drawn anew: not known in preview, and so not what they were. */
function stale(before: ClusterArguments, news: Properties): string[] {
  const changed = {
    server: !sameValue(before.token, news["token"]),
    agent: !sameValue(before.agentToken, news["agentToken"]),
  };
  return before.nodes.filter(({ role }) => changed[role]).map(({ name }) => name);
}

function staleCertificates(before: ClusterArguments, wish: ClusterWish): string[] {
  const same = (before.certificateGeneration ?? 0) === (wish.certificateGeneration ?? 0);
  return same ? [] : before.nodes.map(({ name }) => name);
}

async function observe(before: ClusterArguments): Promise<{ nodes: readonly ObservedNode[] }> {
  const nodes = await observeCluster(before);
  if (nodes !== undefined) return { nodes };
  say(`${before.cluster}: no server's API answers; the plan goes by what the last run had made.`);
  return {
    nodes: before.nodes.map(({ name, labels, taints }) => ({
      ...{ name, labels, taints, version: before.version },
      ...{ ready: false, reason: "", cordonedByUs: false, bootId: "" },
    })),
  };
}

export function diff(
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<pulumi.dynamic.DiffResult> {
  const changed = changedArguments(olds, news, sameValue);
  const planned = Array.isArray(news["plan"]) && news["plan"].length > 0;
  return Promise.resolve({
    changes: changed.length > 0 || planned || isUnknown(news),
    replaces: changed.filter((key) => key === "cluster" || key === "stack"),
    deleteBeforeReplace: true,
  });
}

export async function create(inputs: Properties): Promise<{ id: string; outs: Properties }> {
  const args = argumentsOf(inputs);
  const outs = await ensure(args, { wasFounded: false, ours: [] });
  return { id: `${args.stack}/${args.cluster}`, outs };
}

export async function update(
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<{ outs: Properties }> {
  const parsed = clusterSchema.shape.nodes.safeParse(olds["nodes"]);
  const before = parsed.success ? parsed.data : [];
  const args = argumentsOf(news);
  try {
    return {
      outs: await ensure(args, { wasFounded: true, ours: before.map(({ name }) => name) }),
    };
  } catch (error) {
    // Some nodes may have what they shall have by now; those that go are still known.
    const gone = before.filter(({ name }) => args.nodes.every((node) => node.name !== name));
    const { kubeconfig, members, timings } = olds;
    const outs = {
      ...args,
      nodes: [...args.nodes, ...gone],
      plan: [],
      kubeconfig,
      members,
      timings,
    };
    throw error instanceof Error ? new UnfinishedUpdate(error, outs) : error;
  }
}

/** Certificates are renewed by k3s, and with them the kubeconfig. */
export async function read(
  id: string,
  props: Properties,
): Promise<{ id: string; props: Properties; inputs: Properties }> {
  const args = argumentsOf(props);
  const inputs = { ...args, plan: [] };
  const text = await readCurrentKubeconfig(args).catch((error: unknown) => {
    if (!(error instanceof GroundworkError)) throw error;
    say(`${args.cluster}: the kubeconfig stays as it was. ${error.message}`);
    return undefined;
  });
  const kubeconfig =
    text === undefined ? {} : { kubeconfig: renderKubeconfig(text, args.cluster, args.apiAddress) };
  return { id, inputs, props: { ...props, ...kubeconfig } };
}

async function ensure(
  args: ClusterArguments,
  before: { wasFounded: boolean; ours: string[] },
): Promise<Properties> {
  const { kubeconfig, nodes, timings } = await ensureCluster(args, before);
  const members = nodes.map(({ name, version, ready }) => ({ name, version, ready }));
  return { ...args, plan: [], kubeconfig, members, timings };
}

function withoutPlan(properties: Properties): Properties {
  const names = Object.keys(clusterSchema.shape);
  return Object.fromEntries(Object.entries(properties).filter(([key]) => names.includes(key)));
}

function argumentsOf(properties: Properties): ClusterArguments {
  return clusterSchema.parse(withoutPlan(properties));
}

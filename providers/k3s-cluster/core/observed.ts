import { z } from "zod";
import type { ClusterWish } from "./arguments.ts";

/** A node as the API lists it. */
export interface ObservedNode {
  name: string;
  /** Of its kubelet, such as `v1.34.3+k3s1`. */
  version: string;
  ready: boolean;
  /** Why it is not Ready, in kubelet's words; empty where it is. */
  reason: string;
  labels: Record<string, string>;
  taints: readonly string[];
  cordonedByUs: boolean;
  /** Of the boot in which its kubelet last spoke. */
  bootId: string;
  /** Whether a server's etcd has a vote; undefined where k3s says nothing of it, as of agents. */
  votes?: boolean;
}

/** The label that nodes register with: the name of their cluster. */
export const clusterLabel = "groundwork.dev/cluster";

/** Marks nodes from which this program keeps pods for the time of an upgrade. */
export const cordonMark = "groundwork.dev/cordoned";

const nodeList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({
        name: z.string(),
        labels: z.record(z.string(), z.string()).default({}),
        annotations: z.record(z.string(), z.string()).default({}),
      }),
      spec: z
        .object({
          taints: z
            .array(z.object({ key: z.string(), value: z.string().default(""), effect: z.string() }))
            .default([]),
        })
        .default({ taints: [] }),
      status: z.object({
        nodeInfo: z.object({ kubeletVersion: z.string(), bootID: z.string().default("") }),
        conditions: z
          .array(
            z.object({ type: z.string(), status: z.string(), message: z.string().default("") }),
          )
          .default([]),
      }),
    }),
  ),
});

/**
 * Reads a NodeList as the API gives it.
 *
 * @returns `undefined` for anything else.
 */
export function parseNodes(text: string): ObservedNode[] | undefined {
  const parsed = nodeList.safeParse(parseJson(text));
  return parsed.success
    ? parsed.data.items.map(({ metadata, spec, status }) => {
        const condition = status.conditions.find(({ type }) => type === "Ready");
        const voter = status.conditions.find(({ type }) => type === "EtcdIsVoter");
        return {
          name: metadata.name,
          version: status.nodeInfo.kubeletVersion,
          ready: condition?.status === "True",
          reason: condition?.status === "True" ? "" : (condition?.message ?? ""),
          labels: metadata.labels,
          taints: spec.taints.map(
            ({ key, value, effect }) => `${key}${value === "" ? "" : `=${value}`}:${effect}`,
          ),
          cordonedByUs: metadata.annotations[cordonMark] !== undefined,
          bootId: status.nodeInfo.bootID,
          ...(voter !== undefined && { votes: voter.status === "True" }),
        };
      })
    : undefined;
}

/** Whether a node does not do its part: it is not Ready, or a server of which k3s says that it has no vote. */
export function isAway(node: ObservedNode): boolean {
  return !node.ready || node.votes === false;
}

/**
 * Who keeps these nodes from being restarted or drained: servers that are away, and for agents those of
 * them that are, where they would be too many together. What is away itself waits for nobody.
 */
export function listBlocking(
  wish: Pick<ClusterWish, "nodes" | "maxUnavailable">,
  seen: readonly ObservedNode[],
  names: readonly string[],
): string[] {
  const away = new Set(seen.filter(isAway).map(({ name }) => name));
  if (names.every((name) => away.has(name))) return [];
  const others = wish.nodes.filter(({ name }) => away.has(name) && !names.includes(name));
  const of = (role: "server" | "agent"): string[] =>
    others.filter((node) => node.role === role).map(({ name }) => name);
  const isAgent = wish.nodes.some(({ name, role }) => names.includes(name) && role === "agent");
  const tooMany = isAgent && of("agent").length + names.length > wish.maxUnavailable;
  return [...of("server"), ...(tooMany ? of("agent") : [])];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What a look at a server's API came to. */
export type ApiSighting =
  | { kind: "silent"; detail: string }
  | { kind: "answers"; nodes: readonly ObservedNode[]; coreDns: number };

/** What the nodes shall be, as the API must show it. */
export interface Expectation {
  version: string;
  nodes: readonly { name: string; labels: Record<string, string> }[];
  /** Nodes must be Ready, not only registered. */
  ready: boolean;
  coreDns: boolean;
}

/** What is still missing, one line for each node; empty once all is there. */
export function listMissing(sighting: ApiSighting, expected: Expectation): string[] {
  if (sighting.kind === "silent") return [`the API does not answer yet: ${sighting.detail}`];
  const byName = new Map(sighting.nodes.map((node) => [node.name, node]));
  const missing = expected.nodes.flatMap(({ name, labels }) => {
    const node = byName.get(name);
    if (node === undefined) return [`${name} has not joined yet`];
    if (expected.ready && !node.ready)
      return [`${name} is not Ready${node.reason === "" ? "" : `: ${node.reason}`}`];
    if (node.version !== expected.version)
      return [`${name} has ${node.version} and not ${expected.version}`];
    const wrong = Object.entries(labels).filter(([key, value]) => node.labels[key] !== value);
    return wrong.map(([key, value]) => `${name} lacks the label ${key}=${value}`);
  });
  if (missing.length > 0 || !expected.coreDns || sighting.coreDns > 0) return missing;
  return ["CoreDNS is not available yet"];
}

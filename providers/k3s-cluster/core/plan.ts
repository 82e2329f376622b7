import { GroundworkError } from "../../errors.ts";
import type { ClusterWish } from "./arguments.ts";
import { clusterLabel, isAway, type ObservedNode } from "./observed.ts";
import { compareVersions, parseVersion } from "./version.ts";

/** One thing that is done to a cluster. Steps are carried out in their order. */
export type Step =
  /** The cluster begins on one server; which, is decided when all have been asked. */
  | { kind: "found"; servers: readonly string[] }
  /** The only server's SQLite becomes etcd, for no other server could join it. */
  | { kind: "moveToEtcd"; server: string }
  | { kind: "join"; role: "server" | "agent"; nodes: readonly string[] }
  | { kind: "remove"; node: string }
  /** Servers take the next server token; from then on none of them starts with the old one. */
  | { kind: "rotateToken"; servers: readonly string[] }
  /** One after the other is started with its new token. */
  | { kind: "renewTokens"; nodes: readonly string[] }
  | { kind: "renewCertificates"; nodes: readonly string[] }
  | { kind: "snapshot" }
  | { kind: "upgradeServer"; node: string; from: string; to: string }
  /** One batch: these are away at the same time. */
  | { kind: "upgradeAgents"; nodes: readonly string[]; to: string }
  /** An upgrade that broke off had kept pods from these. */
  | { kind: "uncordon"; nodes: readonly string[] };

/** What is known of the cluster; `nodes` is what its API lists. */
export type ObservedCluster =
  | { kind: "none" }
  | {
      kind: "exists";
      nodes: readonly ObservedNode[];
      /** That of the only server, where there is one only. */
      datastore: ClusterWish["datastore"];
      /** Names of nodes that do not run with the tokens that are wished for. */
      staleTokens: readonly string[];
      /** Names of nodes whose certificates are of another generation. */
      staleCertificates: readonly string[];
    };

/**
 * Plans how a cluster becomes what is wished for.
 *
 * Nodes that go are drained and removed first. Servers are upgraded before agents, one at a time,
 * with a snapshot before the first, and know new tokens before anybody joins with them; new nodes come
 * when the servers have the version that they bring. A plan for a cluster that is as wished has no steps.
 *
 * @param ours names of nodes that earlier runs made: beside those with this cluster's label, no others are
 *   ever removed.
 * @throws GroundworkError `k3s-downgrade` or `k3s-skips-minor`.
 */
export function planCluster(
  wish: ClusterWish,
  observed: ObservedCluster,
  ours: readonly string[],
): Step[] {
  const names = (role: "server" | "agent"): string[] =>
    wish.nodes.filter((node) => node.role === role).map(({ name }) => name);
  if (observed.kind === "none") {
    const [, ...others] = names("server");
    return [
      { kind: "found", servers: names("server") },
      // Nobody waits for agents: they find the API by themselves.
      ...joins("agent", names("agent")),
      ...joins("server", others),
    ];
  }
  const byName = new Map(observed.nodes.map((node) => [node.name, node]));
  const present = (name: string): boolean => byName.has(name);
  const wished = new Set(wish.nodes.map(({ name }) => name));
  /** First those that are away already, for nobody else may go before they are back. */
  const outdated = (role: "server" | "agent"): ObservedNode[] => {
    const nodes = names(role).flatMap((name) => {
      const node = byName.get(name);
      return node === undefined || node.version === wish.version ? [] : [node];
    });
    return [...nodes.filter(isAway), ...nodes.filter((node) => !isAway(node))];
  };
  refuseVersions(wish, observed.nodes);
  const servers = outdated("server");
  const agents = outdated("agent").map(({ name }) => name);
  const among = (role: "server" | "agent", list: readonly string[]): string[] =>
    names(role).filter((name) => present(name) && list.includes(name));
  const stale = (role: "server" | "agent"): string[] => among(role, observed.staleTokens);
  /** An upgrade renews tokens and certificates by the way, and a restart for tokens the latter. */
  const renew = (role: "server" | "agent"): Step[] => {
    const upgraded = outdated(role).map(({ name }) => name);
    const tokens = stale(role).filter((name) => !upgraded.includes(name));
    const certificates = among(role, observed.staleCertificates).filter(
      (name) => !upgraded.includes(name) && !tokens.includes(name),
    );
    return [
      ...(tokens.length > 0 ? [{ kind: "renewTokens", nodes: tokens } as const] : []),
      ...(certificates.length > 0
        ? [{ kind: "renewCertificates", nodes: certificates } as const]
        : []),
    ];
  };
  const cordoned = observed.nodes.filter(
    ({ name, cordonedByUs, version }) =>
      cordonedByUs && version === wish.version && wished.has(name),
  );
  return [
    ...observed.nodes
      .filter(({ name, labels }) => ours.includes(name) || labels[clusterLabel] === wish.cluster)
      .filter(({ name }) => !wished.has(name))
      .map(({ name }): Step => ({ kind: "remove", node: name })),
    // Before the snapshot, which is restored by the token that it was made with.
    ...(stale("server").length > 0
      ? [{ kind: "rotateToken", servers: stale("server") } as const]
      : []),
    ...(servers.length > 0 ? [{ kind: "snapshot" } as const] : []),
    ...servers.map(({ name, version }): Step => ({
      ...{ kind: "upgradeServer", node: name },
      ...{ from: version, to: wish.version },
    })),
    ...renew("server"),
    ...(wish.datastore === "etcd" && observed.datastore === "sqlite"
      ? names("server")
          .filter(present)
          .map((server): Step => ({ kind: "moveToEtcd", server }))
      : []),
    ...joins(
      "server",
      names("server").filter((name) => !present(name)),
    ),
    ...joins(
      "agent",
      names("agent").filter((name) => !present(name)),
    ),
    ...batches(agents, wish.maxUnavailable).map((nodes): Step => ({
      kind: "upgradeAgents",
      nodes,
      to: wish.version,
    })),
    ...renew("agent"),
    ...(cordoned.length > 0
      ? [{ kind: "uncordon", nodes: cordoned.map(({ name }) => name) } as const]
      : []),
  ];
}

/** The plan as preview shows it; what is not Ready is waited for, whatever else is done. */
export function renderPlan(
  wish: ClusterWish,
  observed: ObservedCluster,
  ours: readonly string[],
): string[] {
  const steps = planCluster(wish, observed, ours).map(renderStep);
  const nodes = observed.kind === "exists" && wish.waitForReady ? observed.nodes : [];
  const away = nodes.filter(
    ({ name, ready }) => !ready && wish.nodes.some((node) => node.name === name),
  );
  if (away.length === 0) return steps;
  return [
    ...steps,
    `wait until ${away.map(({ name }) => name).join(", ")} can be seen to be Ready`,
  ];
}

function joins(role: "server" | "agent", nodes: readonly string[]): Step[] {
  return nodes.length > 0 ? [{ kind: "join", role, nodes }] : [];
}

/** Parts of a list, each of at most so many elements. */
export function batches<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, index) =>
    list.slice(index * size, (index + 1) * size),
  );
}

/** @throws GroundworkError `k3s-downgrade` or `k3s-skips-minor`. */
export function refuseVersions(wish: ClusterWish, nodes: readonly ObservedNode[]): void {
  const to = parseVersion(wish.version);
  const wished = new Set(wish.nodes.map(({ name }) => name));
  for (const { name, version } of nodes.filter((node) => wished.has(node.name))) {
    const from = parseVersion(version);
    if (from === undefined || to === undefined) continue;
    if (compareVersions(to, from) < 0)
      throw new GroundworkError({
        code: "k3s-downgrade",
        message: `Refused to bring the cluster to ${wish.version}: ${name} has ${version}, and Kubernetes cannot go back to an older version.`,
        next: `Set version to ${version} or a later one; to go back, restore a snapshot into a new cluster (docs/k3s.md).`,
      });
    if (to.minor - from.minor > 1)
      throw new GroundworkError({
        code: "k3s-skips-minor",
        message: `Refused to bring the cluster to ${wish.version}: ${name} has ${version}, and an upgrade must not skip a minor version.`,
        next: `Upgrade to a version v1.${String(from.minor + 1)} first.`,
      });
  }
}

/** Why a cluster cannot have another datastore than it has; undefined where it can. */
export function refuseDatastore(
  before: Pick<ClusterWish, "cluster" | "datastore">,
  wish: Pick<ClusterWish, "datastore">,
): string | undefined {
  if (before.datastore !== "etcd" || wish.datastore === "etcd") return undefined;
  return `datastore: cluster "${before.cluster}" has etcd, of which k3s makes no SQLite; expected etcd. Set datastore: etcd in the stack file.`;
}

/** A step in a few words, as preview shows it. */
export function renderStep(step: Step): string {
  switch (step.kind) {
    case "found":
      return step.servers.length === 1
        ? `found the cluster on ${String(step.servers[0])}`
        : `found the cluster on one of ${step.servers.join(", ")}, once none of them has one`;
    case "moveToEtcd":
      return `restart ${step.server} with etcd in place of SQLite, so that servers can join it`;
    case "join":
      return `join ${step.role}s ${step.nodes.join(", ")}`;
    case "remove":
      return `drain ${step.node} and delete its Node`;
    case "rotateToken":
      return `have servers ${step.servers.join(", ")} take a new server token`;
    case "renewTokens":
      return `restart ${step.nodes.join(", ")} with new tokens, one after the other`;
    case "renewCertificates":
      return `have ${step.nodes.join(", ")} make new certificates, one after the other`;
    case "snapshot":
      return "save the datastore";
    case "upgradeServer":
      return `upgrade server ${step.node} from ${step.from} to ${step.to}`;
    case "upgradeAgents":
      return `drain agents ${step.nodes.join(", ")} and upgrade them to ${step.to}`;
    case "uncordon":
      return `let pods onto ${step.nodes.join(", ")} again`;
  }
}

/** What a server is found to have, before any of them is started. */
export interface ServerSighting {
  name: string;
  /** A datastore is on its disk. */
  hasData: boolean;
}

export type Beginning =
  | { kind: "exists"; servers: string[] }
  | { kind: "found"; server: string }
  /** Founded as well, but with the content of a snapshot. */
  | { kind: "restore"; server: string }
  | { kind: "refused"; reason: GroundworkError };

/**
 * Decides whether a cluster exists, by what every server has on its disk: never by which server is
 * the first of a list. One that had been founded and is nowhere to be seen is not founded again.
 *
 * @param wasFounded an earlier run saw the cluster.
 * @param restores a snapshot is named, from which it begins where it has no data.
 */
export function planBeginning(
  servers: readonly ServerSighting[],
  wasFounded: boolean,
  cluster: string,
  restores = false,
): Beginning {
  const withData = servers.filter(({ hasData }) => hasData).map(({ name }) => name);
  if (withData.length > 0) return { kind: "exists", servers: withData };
  const [first] = servers;
  if (restores && first !== undefined) return { kind: "restore", server: first.name };
  if (wasFounded || first === undefined)
    return {
      kind: "refused",
      reason: new GroundworkError({
        code: "k3s-data-lost",
        message: `Refused to found cluster "${cluster}" a second time: it existed, and none of its servers (${servers.map(({ name }) => name).join(", ")}) has its data any more.`,
        next: "Name a snapshot in snapshots.restoreFrom (docs/k3s.md, Restore etcd), or begin anew by destroying the cluster's nodes and running `make up`.",
      }),
    };
  return { kind: "found", server: first.name };
}

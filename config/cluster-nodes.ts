import { parseAddress, renderAddress } from "../components/planning/addresses.ts";
import type { ClusterConfig, MachineConfig, PoolConfig } from "./schema.ts";

/** A node of a cluster: the machine it is, and what Kubernetes is to know of it. */
export interface ClusterNode {
  role: "server" | "agent";
  pool: string;
  machine: MachineConfig;
  labels: Record<string, string>;
  taints: readonly string[];
  /** Where the configuration says so: pool, and the node where it is named there. */
  path: readonly PropertyKey[];
}

/** A pool's nodes, in order. */
export function nodesOf(cluster: string, pool: PoolConfig): PoolConfig["nodes"] {
  if (pool.nodes.length > 0) return pool.nodes;
  const first = pool.firstAddress === undefined ? undefined : parseAddress(pool.firstAddress);
  if (first === undefined) return [];
  return Array.from({ length: pool.count ?? 0 }, (_, index) => ({
    name: `${cluster}-${pool.name}-${String(index + 1).padStart(2, "0")}`,
    address: renderAddress(first + index),
  }));
}

/** The nodes of a cluster, servers first. `at` is the cluster's place in the configuration. */
export function planClusterNodes(
  cluster: ClusterConfig,
  at: readonly PropertyKey[] = [],
): ClusterNode[] {
  const roles = [
    ["server", "servers"],
    ["agent", "agents"],
  ] as const;
  return roles.flatMap(([role, key]) =>
    cluster[key].flatMap((pool, index) => {
      const { name, nodes, count, firstAddress, network, labels, taints, ...rest } = pool;
      const named = nodes.length > 0;
      return nodesOf(cluster.name, { ...pool, count, firstAddress }).map((node, place) => ({
        ...{ role, pool: name, labels, taints },
        machine: {
          ...rest,
          name: node.name,
          rootVolume: {
            ...rest.rootVolume,
            generation: node.generation ?? rest.rootVolume.generation,
          },
          networks: [{ network, address: node.address, dhcp: false }],
        },
        path: [...at, key, index, ...(named ? ["nodes", place] : [])],
      }));
    }),
  );
}

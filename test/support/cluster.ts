import { labSections } from "./lab.ts";

const pool = {
  network: "lab",
  hypervisor: "hv",
  rootVolume: { image: "debian", sizeGiB: 10 },
};

/** A cluster of one server and two agents that is right in every respect, to be spoilt by tests. */
export function labCluster(changes: object = {}): Record<string, unknown> {
  return {
    name: "kube",
    version: "v1.34.3+k3s1",
    servers: [{ ...pool, name: "server", nodes: [{ name: "cp1", address: "192.168.150.20" }] }],
    agents: [{ ...pool, name: "worker", count: 2, firstAddress: "192.168.150.30" }],
    ...changes,
  };
}

/** Pools of servers with so many nodes. */
export function serverPool(count: number, changes: object = {}): Record<string, unknown> {
  return { ...pool, name: "server", count, firstAddress: "192.168.150.20", ...changes };
}

/** The sections of a lab with the cluster and no other machines. */
export function clusterSections(changes: object = {}): Record<string, unknown> {
  return {
    ...labSections(),
    "groundwork:machines": [],
    "groundwork:clusters": [labCluster(changes)],
  };
}

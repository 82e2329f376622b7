import { createHash } from "node:crypto";
import { stringify } from "yaml";
import type { Artifact, SnapshotStore } from "../../providers/k3s-cluster/core/arguments.ts";
import { clusterLabel } from "../../providers/k3s-cluster/core/observed.ts";
import { type NetworkPlan, planInterface } from "./network.ts";

/** What a cluster's configuration says of a file that nodes need. */
export interface ArtifactWish {
  from: "release" | "objectStore" | "image";
  sha256?: string | undefined;
  url?: string | undefined;
  key?: string | undefined;
  path?: string | undefined;
}

/** What k3s is told on every node of a cluster. */
export interface K3sWish {
  name: string;
  version: string;
  datastore?: "sqlite" | "etcd" | undefined;
  apiAddress?: string | undefined;
  tlsSans: readonly string[];
  cni: "vxlan" | "wireguard-native" | "host-gw" | "none";
  clusterCidr: string;
  serviceCidr: string;
  disable: readonly string[];
  kubeletArgs: readonly string[];
  secretsEncryption: boolean;
  auditPolicy?: Record<string, unknown> | undefined;
  snapshots: { schedule: string; retention: number };
}

/** A node, as far as k3s's configuration goes. */
export interface K3sNode {
  role: "server" | "agent";
  name: string;
  address: string;
  labels: Record<string, string>;
  taints: readonly string[];
}

const folder = "/etc/rancher/k3s";

/** One server keeps its state in SQLite, unless others are to join it; more of them need etcd. */
export function chooseDatastore(
  wish: Pick<K3sWish, "datastore">,
  servers: number,
): "sqlite" | "etcd" {
  return wish.datastore ?? (servers > 1 ? "etcd" : "sqlite");
}

/**
 * The content of a node's config.yaml, but for the server that it joins, which is seen to when the
 * nodes have been asked. It holds no token: these are files beside it.
 */
export function planK3sConfig(
  wish: K3sWish,
  node: K3sNode,
  datastore: "sqlite" | "etcd",
): Record<string, unknown> {
  const labels = Object.entries({ ...node.labels, [clusterLabel]: wish.name }).map(
    ([key, value]) => `${key}=${value}`,
  );
  const list = (key: string, values: readonly string[]): Record<string, unknown> =>
    values.length > 0 ? { [key]: [...values] } : {};
  const common = {
    "node-name": node.name,
    "node-ip": node.address,
    "token-file": `${folder}/token`,
    ...list("node-label", labels),
    ...list("node-taint", node.taints),
    ...list("kubelet-arg", wish.kubeletArgs),
  };
  if (node.role === "agent") return common;
  const sans = [
    ...new Set([...(wish.apiAddress === undefined ? [] : [wish.apiAddress]), ...wish.tlsSans]),
  ];
  const audit = [
    `audit-policy-file=${folder}/audit.yaml`,
    "audit-log-path=/var/lib/rancher/k3s/server/logs/audit.log",
    "audit-log-maxbackup=10",
    "audit-log-maxsize=100",
  ];
  return {
    ...common,
    "agent-token-file": `${folder}/agent-token`,
    "write-kubeconfig-mode": "0600",
    ...list("tls-san", sans),
    "flannel-backend": wish.cni,
    // k3s's own controller wants flannel; whoever brings a plug-in brings policies.
    ...(wish.cni === "none" && { "disable-network-policy": true }),
    "cluster-cidr": wish.clusterCidr,
    "service-cidr": wish.serviceCidr,
    ...list("disable", wish.disable),
    ...(wish.secretsEncryption && { "secrets-encryption": true }),
    ...(wish.auditPolicy !== undefined && { "kube-apiserver-arg": audit }),
    ...(datastore === "etcd" && {
      "etcd-snapshot-schedule-cron": wish.snapshots.schedule,
      "etcd-snapshot-retention": wish.snapshots.retention,
    }),
  };
}

/** What a cluster's configuration says of the place that snapshots are copied to. */
export interface SnapshotStoreWish {
  endpoint?: string | undefined;
  region?: string | undefined;
  bucket?: string | undefined;
  folder?: string | undefined;
  accessKey?: string | undefined;
  secretKey?: string | undefined;
}

/** Where snapshots are copied to: the stack's own store, but for what is wished otherwise. */
export function planSnapshotStore(
  wish: SnapshotStoreWish,
  own: { endpoint: string; region: string; bucket: string },
  place: { stack: string; cluster: string },
): SnapshotStore {
  const { accessKey, secretKey } = wish;
  return {
    endpoint: wish.endpoint ?? own.endpoint,
    region: wish.region ?? own.region,
    bucket: wish.bucket ?? own.bucket,
    folder: wish.folder ?? `etcd/${place.stack}/${place.cluster}`,
    ...(accessKey !== undefined && secretKey !== undefined && { accessKey, secretKey }),
  };
}

/** What of a node's machine makes its domain anew on the disk that it has; another disk does as well. */
export interface NodeShape {
  vcpus: number;
  memoryMiB: number;
  firmware: unknown;
  accelerator?: string | undefined;
  vnc: boolean;
  guestAgent: boolean;
  volumes: readonly { name: string; volumeGroup?: string | undefined }[];
  networks: readonly {
    network: { plan: NetworkPlan };
    address: string;
    dhcp: boolean;
    mac?: string | undefined;
  }[];
  cloudInit: unknown;
}

/**
 * Is something else when a node's machine must go for a while. By a server's address the others find it,
 * and by the user's name all are entered, so these two change at once. cloud-init's files may hold secrets.
 *
 * @param authorizedKeys who may log in.
 */
export function planTurnTrigger(
  role: K3sNode["role"],
  machine: NodeShape,
  authorizedKeys: readonly string[],
): Record<string, unknown> {
  const { vcpus, memoryMiB, firmware, accelerator, vnc, guestAgent, volumes, cloudInit } = machine;
  const interfaces = machine.networks.map(({ network, address, dhcp, mac = "" }, index) => {
    const named = role === "server" && index === 0 ? "" : address;
    return { ...planInterface(network.plan, { mac, address: named, dhcp }), named };
  });
  const seed = JSON.stringify({ cloudInit, authorizedKeys, interfaces });
  return {
    ...{ vcpus, memoryMiB, firmware, vnc, guestAgent },
    ...(accelerator !== undefined && { accelerator }),
    volumes: volumes.map(({ name, volumeGroup }) =>
      volumeGroup ? `${volumeGroup}/${name}` : name,
    ),
    seed: createHash("sha256").update(seed).digest("hex"),
  };
}

/** What is written onto the root disks of these nodes, by their names. */
export function planTurnDisks<Image>(
  nodes: readonly {
    name: string;
    machine: { rootVolume: { image: Image; generation: number } };
  }[],
): Record<string, { image: Image; generation: number }> {
  return Object.fromEntries(
    nodes.map(({ name, machine }) => {
      const { image, generation } = machine.rootVolume;
      return [name, { image, generation }];
    }),
  );
}

/** The audit policy as the API server reads it. */
export function renderAuditPolicy(policy: Record<string, unknown>): string {
  return stringify({ apiVersion: "audit.k8s.io/v1", kind: "Policy", ...policy }, { lineWidth: 0 });
}

/** Says where a file comes from; `file` is its name in the release. */
export function planArtifact(
  wish: ArtifactWish,
  store: { endpoint: string; region: string; bucket: string },
  file: { version: string; name: string; path: string },
): Artifact {
  const { from, sha256, url, key, path } = wish;
  switch (from) {
    case "release":
      return {
        from,
        ...(url !== undefined && { url }),
        ...(sha256 !== undefined && { sha256 }),
      };
    case "objectStore":
      return {
        ...{ from, ...store, key: key ?? `k3s/${file.version}/${file.name}` },
        sha256: sha256 ?? "",
      };
    case "image":
      return { from, path: path ?? file.path, sha256: sha256 ?? "" };
  }
}

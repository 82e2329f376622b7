import { stringify } from "yaml";
import type { ClusterArguments, NodeArguments } from "./arguments.ts";
import { snapshotStoreFile } from "./snapshots.ts";
import { networkWaitPath, networkWaitSeconds, renderNetworkWait } from "./network-wait.ts";

export const k3sBinary = "/usr/local/bin/k3s";
export const configFile = "/etc/rancher/k3s/config.yaml";

export const tokenFile = "/etc/rancher/k3s/token";

/** How a node finds its cluster. Where the datastore is there already, k3s heeds none of it. */
export type Membership = { kind: "founds" } | { kind: "joins"; server: string };

/** A file of a node, as it must be. */
export interface NodeFile {
  path: string;
  /** Octal. */
  mode: string;
  /** Undefined: there must be no such file. */
  content: string | undefined;
}

/** The systemd unit of a node, by the name that k3s's own installation gives it. */
export function unitOf(role: NodeArguments["role"]): string {
  return role === "server" ? "k3s" : "k3s-agent";
}

/**
 * `/etc/rancher/k3s/config.yaml`. Tokens are in files beside it, so it may be shown.
 *
 * @param takenAtStart what an agent takes from its servers when it starts: it is restarted for another one.
 */
export function renderConfig(
  node: Pick<NodeArguments, "role" | "config">,
  membership: Membership,
  datastore: ClusterArguments["datastore"],
  takenAtStart?: string,
): string {
  const joins = membership.kind === "joins" ? { server: membership.server } : {};
  const founds =
    node.role === "server" && datastore === "etcd" && membership.kind === "founds"
      ? { "cluster-init": true }
      : {};
  const taken =
    node.role === "agent" && takenAtStart !== undefined
      ? `# Taken from the servers: ${takenAtStart}\n`
      : "";
  return `# Written by Groundwork; changes made here are lost.\n${taken}${stringify({ ...node.config, ...joins, ...founds }, { lineWidth: 0, defaultStringType: "QUOTE_DOUBLE", defaultKeyType: "PLAIN" })}`;
}

/** The unit that runs k3s. Containers outlive it, so that a restart disturbs no pod. */
export function renderUnit(node: Pick<NodeArguments, "role" | "address" | "hasRoute">): string {
  const wait = [
    networkWaitPath,
    node.address,
    String(networkWaitSeconds),
    node.hasRoute ? "yes" : "no",
  ].join(" ");
  return `# Written by Groundwork; changes made here are lost.
[Unit]
Description=k3s ${node.role}
Documentation=https://docs.k3s.io
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=${node.role === "server" ? "notify" : "exec"}
ExecStartPre=${wait}
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStart=${k3sBinary} ${node.role}
KillMode=process
Delegate=yes
Restart=always
RestartSec=2
TimeoutStartSec=0
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity

[Install]
WantedBy=multi-user.target
`;
}

const secret = (path: string, content: string | undefined): NodeFile => ({
  path,
  mode: "0600",
  content,
});

/** The files with a node's tokens, its own first: an agent has no other than the agents'. */
export function listTokenFiles(
  { token, agentToken }: Pick<ClusterArguments, "token" | "agentToken">,
  role: NodeArguments["role"],
): NodeFile[] {
  const agents = `${agentToken}\n`;
  return role === "agent"
    ? [secret(tokenFile, agents)]
    : [secret(tokenFile, `${token}\n`), secret("/etc/rancher/k3s/agent-token", agents)];
}

/** Every file that k3s reads on a node. `snapshotStore`: as `renderSnapshotStore` writes it. */
export function listNodeFiles(
  args: ClusterArguments,
  node: NodeArguments,
  membership: Membership,
  snapshotStore?: string,
): NodeFile[] {
  const { registries, auditPolicy } = args;
  const server = node.role === "server";
  const [first] = args.nodes.filter(({ role }) => role === "server");
  const backend = `flannel-backend ${String(first?.config["flannel-backend"])}`;
  return [
    { path: networkWaitPath, mode: "0755", content: renderNetworkWait() },
    {
      path: `/etc/systemd/system/${unitOf(node.role)}.service`,
      mode: "0644",
      content: renderUnit(node),
    },
    secret(configFile, renderConfig(node, membership, args.datastore, backend)),
    ...listTokenFiles(args, node.role),
    ...(server ? [secret(snapshotStoreFile, snapshotStore)] : []),
    ...(server ? [secret("/etc/rancher/k3s/audit.yaml", auditPolicy)] : []),
    secret("/etc/rancher/k3s/registries.yaml", registries),
  ];
}

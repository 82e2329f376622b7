import * as pulumi from "@pulumi/pulumi";
import { stringify } from "yaml";
import {
  networkWaitPath,
  networkWaitSeconds,
  renderNetworkWait,
} from "../providers/k3s-cluster/core/network-wait.ts";
import { K3sRollout, type RolloutNode } from "../providers/k3s-cluster/resource.ts";
import { RandomToken } from "../providers/random-token/resource.ts";
import {
  type ArtifactWish,
  chooseDatastore,
  type K3sWish,
  planArtifact,
  planK3sConfig,
  planSnapshotStore,
  renderAuditPolicy,
  type SnapshotStoreWish,
} from "./planning/k3s.ts";
import { addressOf, makeByTurns } from "./k3s-turns.ts";
import { VirtualMachine, type VirtualMachineArgs } from "./virtual-machine.ts";

export interface ClusterNodeArgs {
  /** Name of node and machine. Another name is another node. */
  name: string;
  /** A server runs the API and pods; an agent runs pods. */
  role: "server" | "agent";
  /** Set at once, and kept so. */
  labels: Record<string, string>;
  /** Set at once; one that is left out later stays until it is removed by hand. */
  taints: readonly string[];
  /** The machine, made by this component. */
  machine: VirtualMachineArgs;
}

export interface K3sClusterArgs extends Omit<K3sWish, "name"> {
  /** Servers first; one of them, or an odd number. New nodes join, others are drained and removed. */
  nodes: readonly ClusterNodeArgs[];
  /** Where the binary comes from, and its digest. */
  binary: ArtifactWish;
  /** Default: nodes pull k3s's own images. */
  airgapImages?: ArtifactWish | undefined;
  /** When etcd is saved, how often, and where else than on the servers' disks. */
  snapshots: K3sWish["snapshots"] & {
    store?: SnapshotStoreWish | undefined;
    /** A snapshot in the store, from which the cluster begins where none of its servers has data. */
    restoreFrom?: string | undefined;
  };
  /** For what comes from the object store, and for snapshots. */
  objectStore: { endpoint: string; region: string; bucket: string };
  /** registries.yaml. A secret. */
  registries?: Record<string, unknown> | undefined;
  /** Another number draws new tokens, with which nodes are started one after the other. */
  tokenGeneration: number;
  /** Another number has the nodes make new certificates, one after the other. */
  certificateGeneration: number;
  /** How nodes are upgraded, changed and removed. */
  upgrade: { maxUnavailable: number; drainTimeoutSeconds: number; nodeByNode: boolean };
  /** How long nodes may take to be Ready once their machines are started, in seconds. */
  readyTimeoutSeconds: number;
}

/**
 * A k3s cluster on machines of its own.
 *
 * It is there once its API is ready and every node is, with the pinned version and its labels. Tokens
 * belong to the stack, and are drawn anew only when asked for; nothing of them is in user-data.
 */
export class K3sCluster extends pulumi.ComponentResource {
  /** The nodes' machines, in order. */
  readonly machines: { name: string; user: string; vm: VirtualMachine }[];
  /** For kubectl; cluster, user and context are called after the cluster. A secret. */
  readonly kubeconfig: pulumi.Output<string>;
  /** Where the API is reached. */
  readonly apiUrl: string;
  /** The nodes as the API listed them in the end. */
  readonly members: pulumi.Output<{ name: string; version: string; ready: boolean }[]>;
  /** When each phase of the last run was over, in seconds. */
  readonly timings: pulumi.Output<Record<string, number>>;

  constructor(name: string, args: K3sClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super("groundwork:index:K3sCluster", name, {}, opts);
    const below = { parent: this };
    const servers = args.nodes.filter(({ role }) => role === "server");
    const datastore = chooseDatastore(args, servers.length);
    const apiAddress = args.apiAddress ?? servers[0]?.machine.networks[0]?.address ?? "";
    this.apiUrl = `https://${apiAddress}:6443`;

    const token = (kind: string): pulumi.Output<string> =>
      new RandomToken(
        `${name}-${kind}`,
        { purpose: `${kind} of ${name}`, generation: args.tokenGeneration },
        below,
      ).value;
    const privateKey = args.nodes[0]?.machine.login.privateKey ?? pulumi.output("");
    const tokens = { token: token("server-token"), agentToken: token("agent-token") };
    /** The nodes, with what only their machines know. */
    const tell = (told: readonly Pick<RolloutNode, "hostPublicKey" | "machine">[]): RolloutNode[] =>
      args.nodes.map((node, index): RolloutNode => {
        const { machine, labels, taints, role } = node;
        const config = { name: node.name, role, address: addressOf(machine), labels, taints };
        return {
          ...{ ...config, taints: [...taints], user: machine.login.user },
          hasRoute: hasRoute(machine),
          hypervisorUri: machine.hypervisor.uri,
          ...(told[index] ?? { hostPublicKey: "", machine: "" }),
          config: planK3sConfig({ ...args, name }, config, datastore),
        };
      });
    const file = (file: string, path: string) => ({ version: args.version, name: file, path });
    const { maxUnavailable, drainTimeoutSeconds } = args.upgrade;
    const settings = {
      cluster: name,
      version: args.version,
      datastore,
      waitForReady: args.cni !== "none",
      coreDns: args.cni !== "none" && !args.disable.includes("coredns"),
      binary: planArtifact(args.binary, args.objectStore, file("k3s", "/usr/local/bin/k3s")),
      ...(args.airgapImages !== undefined && {
        airgapImages: planArtifact(
          args.airgapImages,
          args.objectStore,
          file("k3s-airgap-images.tar.zst", "/usr/local/share/k3s/k3s-airgap-images.tar.zst"),
        ),
      }),
      apiAddress,
      ...(args.registries !== undefined && { registries: stringify(args.registries) }),
      ...(args.auditPolicy !== undefined && { auditPolicy: renderAuditPolicy(args.auditPolicy) }),
      ...(args.certificateGeneration > 0 && {
        certificateGeneration: args.certificateGeneration,
      }),
      ...(args.snapshots.restoreFrom !== undefined && { restoreFrom: args.snapshots.restoreFrom }),
      ...(args.snapshots.store !== undefined && {
        snapshotStore: planSnapshotStore(args.snapshots.store, args.objectStore, {
          stack: pulumi.getStack(),
          cluster: name,
        }),
      }),
      ...{ privateKey, ...tokens, maxUnavailable, drainTimeoutSeconds },
      timeoutSeconds: args.readyTimeoutSeconds,
    };
    const { vms, back } = makeByTurns(
      { ...args, cluster: name, privateKey },
      {
        below,
        // What a node becomes that returns needs no machine's identity, which comes behind its turn.
        settings: (hostKeys) => ({
          ...settings,
          nodes: tell(hostKeys.map((hostPublicKey) => ({ hostPublicKey, machine: "" }))),
        }),
        make: (node, machine, turn) => {
          const whole = withNetworkWait(machine);
          return new VirtualMachine(node, turn === undefined ? whole : { ...whole, turn }, below);
        },
      },
    );
    this.machines = args.nodes.flatMap(({ name: node, machine }, index) => {
      const vm = vms[index];
      return vm === undefined ? [] : [{ name: node, user: machine.login.user, vm }];
    });
    const nodes = tell(
      vms.map(({ hostPublicKey, identity }) => ({ hostPublicKey, machine: identity })),
    );
    const rollout = new K3sRollout(name, { ...settings, nodes }, { ...below, dependsOn: back });
    this.kubeconfig = pulumi.secret(rollout.kubeconfig);
    this.members = rollout.members;
    this.timings = rollout.timings;
    this.registerOutputs({ apiUrl: this.apiUrl, members: this.members, timings: this.timings });
  }
}

function hasRoute({ networks }: VirtualMachineArgs): boolean {
  return networks[0]?.network.plan.gateway !== undefined;
}

/**
 * At first boot the machine says on its console how its network came up. Nothing else of k3s is in
 * the seed: whatever changes there makes the domain anew.
 */
function withNetworkWait(machine: VirtualMachineArgs): VirtualMachineArgs {
  const { files, commands } = machine.cloudInit;
  const address = machine.networks[0]?.address ?? "";
  const route = hasRoute(machine) ? "yes" : "no";
  const wait = { path: networkWaitPath, content: renderNetworkWait() };
  return {
    ...machine,
    cloudInit: {
      ...machine.cloudInit,
      files: [{ ...wait, permissions: "0755", owner: "root:root" }, ...files],
      commands: [[networkWaitPath, address, String(networkWaitSeconds), route], ...commands],
    },
  };
}

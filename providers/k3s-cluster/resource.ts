import * as pulumi from "@pulumi/pulumi";
import { handlerStub } from "../stub.ts";
import type { Artifact, NodeArguments, SnapshotStore } from "./core/arguments.ts";

/** A node's arguments, each of which may be an output. */
export type RolloutNode = { [Key in keyof NodeArguments]: pulumi.Input<NodeArguments[Key]> };

export interface K3sRolloutArgs {
  /** The cluster, and its context in kubeconfig. A change replaces the resource. */
  cluster: string;
  /** The version of k3s. A later one upgrades node by node; an older one is refused. */
  version: string;
  datastore: "sqlite" | "etcd";
  /** Wait until nodes are Ready; not where the user brings the network plug-in. */
  waitForReady: boolean;
  /** Wait for CoreDNS, too. */
  coreDns: boolean;
  /** Where the k3s binary comes from, and its digest. */
  binary: Artifact;
  /** As the binary, for the archive of k3s's container images. */
  airgapImages?: Artifact;
  /** Servers first. New ones join; those that go are drained, and their Nodes deleted. */
  nodes: RolloutNode[];
  /** Where kubeconfig finds the API. */
  apiAddress: string;
  /** registries.yaml. Made a secret. */
  registries?: string;
  /** The audit policy, as YAML. */
  auditPolicy?: string;
  /** Where servers copy snapshots of etcd to. Made a secret. */
  snapshotStore?: SnapshotStore;
  /** A snapshot in that place, from which a cluster begins none of whose servers has data. */
  restoreFrom?: string;
  /** What logs in to the nodes. A secret. */
  privateKey: pulumi.Input<string>;
  /** With which servers join. A secret. */
  token: pulumi.Input<string>;
  /** With which agents join. A secret. */
  agentToken: pulumi.Input<string>;
  /** Another number has every node make its certificates anew, one after the other. Default: 0. */
  certificateGeneration?: number;
  /** How many agents may be away at once. */
  maxUnavailable: number;
  /** How long pods may take to leave a node, in seconds. */
  drainTimeoutSeconds: number;
  /** How long all of it may take, in seconds, from when the machines are started. */
  timeoutSeconds: number;
}

/** Secret arguments, and the secret output. */
const secrets = ["privateKey", "token", "agentToken", "registries", "snapshotStore", "kubeconfig"];

/**
 * k3s on machines that boot: founded once, joined, upgraded in order, each node Ready in the end.
 *
 * Tokens and configuration reach the nodes over SSH on standard input. Every run goes on from what
 * the nodes and the API show; preview has its steps in `plan`.
 */
export class K3sRollout extends pulumi.dynamic.Resource {
  /** For kubectl; cluster, user and context are called after the cluster. A secret. */
  declare readonly kubeconfig: pulumi.Output<string>;
  /** The nodes as the API listed them in the end. */
  declare readonly members: pulumi.Output<{ name: string; version: string; ready: boolean }[]>;
  /** When each phase of the last run was over, in seconds from its beginning. */
  declare readonly timings: pulumi.Output<Record<string, number>>;

  constructor(name: string, args: K3sRolloutArgs, opts?: pulumi.CustomResourceOptions) {
    super(
      handlerStub("k3s-cluster"),
      name,
      {
        ...args,
        privateKey: pulumi.secret(args.privateKey),
        token: pulumi.secret(args.token),
        agentToken: pulumi.secret(args.agentToken),
        ...(args.registries !== undefined && { registries: pulumi.secret(args.registries) }),
        ...(args.snapshotStore !== undefined && {
          snapshotStore: pulumi.secret(args.snapshotStore),
        }),
        stack: pulumi.getStack(),
        plan: undefined,
        kubeconfig: undefined,
        members: undefined,
        timings: undefined,
      },
      pulumi.mergeOptions(opts, { additionalSecretOutputs: secrets }),
      "groundwork",
      "K3sRollout",
    );
  }
}

import * as pulumi from "@pulumi/pulumi";
import { handlerStub } from "../stub.ts";
import type { K3sRolloutArgs } from "../k3s-cluster/resource.ts";
import type { TurnArguments, TurnNode } from "./core/arguments.ts";

export interface K3sTurnArgs extends Pick<
  TurnArguments,
  | "cluster"
  | "side"
  | "name"
  | "maxUnavailable"
  | "drainTimeoutSeconds"
  | "timeoutSeconds"
  | "disks"
> {
  /** All nodes of the cluster, servers first. */
  nodes: pulumi.Input<TurnNode[]>;
  /** What logs in to the nodes. A secret. */
  privateKey: pulumi.Input<string>;
  /** When it changes, the node has its turn. */
  trigger: pulumi.Input<unknown>;
  /** What the cluster shall be, for a node that returns on a new disk. Made a secret. */
  settings: pulumi.Input<K3sRolloutArgs>;
}

/**
 * The turn of a node of a cluster whose machine or disk is made anew: before, it `leaves`, when no other
 * node is away; behind, it `returns`, when it is Ready again, and joins where its disk is new. Nothing
 * happens when it is made.
 */
export class K3sTurn extends pulumi.dynamic.Resource {
  constructor(name: string, args: K3sTurnArgs, opts?: pulumi.CustomResourceOptions) {
    super(
      handlerStub("k3s-turn"),
      name,
      {
        ...args,
        privateKey: pulumi.secret(args.privateKey),
        settings: pulumi.secret(
          pulumi.output(args.settings).apply((given) => ({ ...given, stack: pulumi.getStack() })),
        ),
        stack: pulumi.getStack(),
        diskIds: undefined,
      },
      pulumi.mergeOptions(opts, { additionalSecretOutputs: ["privateKey", "settings"] }),
      "groundwork",
      "K3sTurn",
    );
  }
}

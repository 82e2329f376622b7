import * as pulumi from "@pulumi/pulumi";
import { handlerStub } from "../stub.ts";
import type { TurnArguments, TurnNode } from "./core/arguments.ts";

export interface K3sTurnArgs extends Pick<
  TurnArguments,
  "cluster" | "side" | "name" | "maxUnavailable" | "drainTimeoutSeconds" | "timeoutSeconds"
> {
  /** All nodes of the cluster, servers first. */
  nodes: pulumi.Input<TurnNode[]>;
  /** What logs in to the nodes. A secret. */
  privateKey: pulumi.Input<string>;
  /** When it changes, the node has its turn. */
  trigger: pulumi.Input<unknown>;
}

/**
 * The turn of a node of a cluster whose machine is made anew on the same disk: before, it `leaves`, when
 * no other node is away; behind, it `returns`, when it is Ready again. Nothing happens when it is made.
 */
export class K3sTurn extends pulumi.dynamic.Resource {
  constructor(name: string, args: K3sTurnArgs, opts?: pulumi.CustomResourceOptions) {
    super(
      handlerStub("k3s-turn"),
      name,
      { ...args, privateKey: pulumi.secret(args.privateKey), stack: pulumi.getStack() },
      pulumi.mergeOptions(opts, { additionalSecretOutputs: ["privateKey"] }),
      "groundwork",
      "K3sTurn",
    );
  }
}

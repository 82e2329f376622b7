import { z } from "zod";
import { imageSchema } from "../../image-volume/core/arguments.ts";
import { clusterSchema, nodeSchema } from "../../k3s-cluster/core/arguments.ts";

const node = nodeSchema.pick({
  ...{ name: true, role: true, address: true, user: true, hostPublicKey: true },
  hypervisorUri: true,
});

export const turnSchema = z.strictObject({
  stack: clusterSchema.shape.stack,
  cluster: clusterSchema.shape.cluster,
  /** Whether the node goes, or is waited for. */
  side: z.enum(["leaves", "returns"]),
  /** The node whose turn it is, one of `nodes`. */
  name: node.shape.name,
  /** All nodes of the cluster, servers first. */
  nodes: z.array(node).min(1),
  privateKey: z.string().min(1),
  maxUnavailable: z.number().int().positive(),
  drainTimeoutSeconds: z.number().positive(),
  timeoutSeconds: z.number().positive(),
  /** When it changes, the node has its turn. */
  trigger: z.unknown(),
  /** What is written onto the root disks of the servers and of this node. */
  disks: z
    .record(node.shape.name, z.strictObject({ image: imageSchema, generation: z.number().int() }))
    .optional(),
  /** Computed from `disks`: another text where a disk is written anew; a node with one has its turn. */
  diskIds: z.record(z.string(), z.string()).optional(),
  /** What a node becomes that returns on a new disk. A secret. */
  settings: clusterSchema.optional(),
});

export type TurnArguments = z.infer<typeof turnSchema>;
export type TurnNode = z.infer<typeof node>;

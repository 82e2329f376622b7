import { z } from "zod";
import { parseVersion } from "./version.ts";

/** Where nodes get a file from; `sha256` may be missing for the vendor's release only. */
export const artifactSchema = z.discriminatedUnion("from", [
  z.strictObject({
    from: z.literal("release"),
    url: z.string().optional(),
    sha256: z.string().optional(),
  }),
  z.strictObject({
    from: z.literal("objectStore"),
    endpoint: z.string(),
    region: z.string(),
    bucket: z.string(),
    key: z.string(),
    sha256: z.string(),
  }),
  z.strictObject({ from: z.literal("image"), path: z.string(), sha256: z.string() }),
]);

export type Artifact = z.infer<typeof artifactSchema>;

/** Where servers copy snapshots of etcd to; without credentials, by those of the running program. */
export const snapshotStoreSchema = z.strictObject({
  endpoint: z.url(),
  region: z.string().min(1),
  bucket: z.string().min(1),
  folder: z.string().min(1),
  accessKey: z.string().optional(),
  secretKey: z.string().optional(),
});

export type SnapshotStore = z.infer<typeof snapshotStoreSchema>;

// These go into ssh_config, file names and commands, so each is held to what it can be.
export const nodeSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, "must be the name of a machine"),
  role: z.enum(["server", "agent"]),
  address: z.string().regex(/^[0-9.]+$/, "must be an IPv4 address"),
  user: z.string().regex(/^[A-Za-z_][A-Za-z0-9_.-]*$/, "must be a user name"),
  hostPublicKey: z.string().regex(/^ssh-ed25519 [A-Za-z0-9+/=]+( .*)?$/, "must be a public key"),
  hypervisorUri: z.string().min(1),
  /** Whether its network has a default route to wait for. */
  hasRoute: z.boolean(),
  /** Is another text once the machine boots anew; a new disk has lost what was on it. */
  machine: z.string(),
  /** `/etc/rancher/k3s/config.yaml`, but for how the node joins. */
  config: z.record(z.string(), z.unknown()),
  labels: z.record(z.string(), z.string()),
  taints: z.array(z.string()),
});

export type NodeArguments = z.infer<typeof nodeSchema>;

export const clusterSchema = z.strictObject({
  stack: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, "must be the name of a stack"),
  cluster: z.string().regex(/^[a-z0-9-]+$/, "must be the name of a cluster"),
  version: z
    .string()
    .refine((text) => parseVersion(text) !== undefined, "must be a version such as v1.34.3+k3s1"),
  datastore: z.enum(["sqlite", "etcd"]),
  /** Whether nodes become Ready by themselves: not where the user brings the network plug-in. */
  waitForReady: z.boolean(),
  /** Whether CoreDNS is packaged, and so waited for. */
  coreDns: z.boolean(),
  binary: artifactSchema,
  airgapImages: artifactSchema.optional(),
  /** Servers first. */
  nodes: z.array(nodeSchema).min(1),
  /** Where the API is reached, for kubeconfig. */
  apiAddress: z.string().min(1),
  /** registries.yaml. A secret. */
  registries: z.string().optional(),
  auditPolicy: z.string().optional(),
  /** A secret, for the key in it. */
  snapshotStore: snapshotStoreSchema.optional(),
  /** From which a cluster begins none of whose servers has data. */
  restoreFrom: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, "must be the name of a snapshot")
    .optional(),
  privateKey: z.string().min(1),
  token: z.string().min(1),
  agentToken: z.string().min(1),
  /** Another number has every node make its certificates anew. Default: 0. */
  certificateGeneration: z.number().int().nonnegative().optional(),
  maxUnavailable: z.number().int().positive(),
  drainTimeoutSeconds: z.number().positive(),
  timeoutSeconds: z.number().positive(),
});

export type ClusterArguments = z.infer<typeof clusterSchema>;

/** What a plan needs, also while everything else is not known yet. */
export const wishSchema = z.object({
  cluster: z.string(),
  version: z.string(),
  datastore: z.enum(["sqlite", "etcd"]),
  certificateGeneration: z.number().optional(),
  maxUnavailable: z.number(),
  waitForReady: z.boolean(),
  nodes: z.array(z.object({ name: z.string(), role: z.enum(["server", "agent"]) })),
});

export type ClusterWish = z.infer<typeof wishSchema>;

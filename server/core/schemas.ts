import { z } from "@hono/zod-openapi";

/**
 * What goes over HTTP. Names and shapes are those of libvirt-volume-provisioner, so that its clients
 * need no change; what it lacks is added beside.
 */

const imageUrl = z.string().openapi({
  description: "The image in its object store; <image_url>.sha256 beside it holds its checksum.",
  example: "https://minio.example.com/images/debian.qcow2",
});
const correlationId = z
  .string()
  .regex(/^[A-Za-z0-9_.:-]{1,100}$/, "must be 1 to 100 letters, digits, _, ., : and -")
  .optional()
  .openapi({ description: "Handed back in the job's status." });

export const provisionRequest = z
  .object({
    image_url: imageUrl,
    volume_name: z.string().openapi({ example: "vm1-root" }),
    volume_size_gb: z.int().min(1).openapi({ description: "In GiB.", example: 10 }),
    image_type: z.enum(["qcow2"]).default("qcow2"),
    correlation_id: correlationId,
  })
  .openapi("ProvisionRequest");

export const prewarmRequest = z
  .object({ image_url: imageUrl, correlation_id: correlationId })
  .openapi("PrewarmRequest");

export const jobAccepted = z.object({ job_id: z.uuid() }).openapi("ProvisionResponse");

export const jobStatus = z.enum(["pending", "running", "completed", "failed", "cancelled"]);

export const progress = z
  .object({
    stage: z.enum(["initializing", "downloading", "converting", "finalizing"]),
    percent: z.number().min(0).max(100),
    bytes_processed: z.int(),
    bytes_total: z.int(),
  })
  .openapi("ProgressInfo");

export const statusResponse = z
  .object({
    job_id: z.uuid(),
    status: jobStatus,
    progress: progress.optional(),
    error: z.string().optional(),
    correlation_id: z.string().optional(),
    cache_hit: z.boolean().optional(),
    image_path: z.string().optional().openapi({ description: "The cache entry on the host." }),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .openapi("StatusResponse");

export const cancelResponse = z
  .object({ status: z.literal("cancelled"), job_id: z.uuid() })
  .openapi("CancelResponse");

export const cacheResponse = z
  .object({
    folder: z.string(),
    free_bytes: z.int(),
    files: z.array(
      z.object({
        digest: z.string(),
        state: z.enum(["whole", "encoded", "truncated", "corrupt", "partial"]),
        bytes: z.int(),
        used_at: z.iso.datetime(),
        in_use: z.boolean(),
        volumes: z.array(z.string()),
      }),
    ),
  })
  .openapi("CacheResponse");

export const evictedResponse = z
  .object({ digest: z.string(), bytes: z.int() })
  .openapi("EvictedResponse");

export const healthResponse = z
  .object({ status: z.enum(["healthy", "unavailable"]), timestamp: z.iso.datetime() })
  .openapi("HealthResponse");

export const errorResponse = z
  .object({ error: z.string(), message: z.string(), code: z.int() })
  .openapi("ErrorResponse");

export type ErrorResponse = z.infer<typeof errorResponse>;
export type StatusResponse = z.infer<typeof statusResponse>;
export type Progress = z.infer<typeof progress>;

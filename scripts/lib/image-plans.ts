import type { automation } from "@pulumi/pulumi";
import { z } from "zod";
import { formatBytes, formatTable } from "./units.ts";

const planSchema = z.object({
  cache: z.string(),
  digest: z.string().optional(),
  bytesToFetch: z.number().optional(),
  bytesToWrite: z.number().optional(),
  estimateSeconds: z.number().optional(),
});

/** What a preview says about one volume. */
export interface VolumePlan extends z.infer<typeof planSchema> {
  volume: string;
  /** Pulumi's word: create, update, same, delete, … */
  operation: string;
}

const cacheRowSchema = planSchema
  .pick({ cache: true, digest: true, bytesToFetch: true })
  .extend({ hypervisorUri: z.string(), image: z.string() });

/** What a preview says about one image that one hypervisor's cache shall have. */
export interface CachePlan extends z.infer<typeof cacheRowSchema> {
  /** As for a volume. */
  operation: string;
}

export type ImagePlan = VolumePlan | CachePlan;

const volumeSchema = z.object({
  volumeGroup: z.string(),
  volumeName: z.string(),
  plan: planSchema,
});
const cacheSchema = z.object({
  hypervisorUris: z.array(z.string()),
  plan: z.array(cacheRowSchema),
});

/** The plan of a volume, or of each image of a cache, when the event is about one. */
export function parseImagePlans(event: automation.EngineEvent): ImagePlan[] {
  const metadata = event.resourcePreEvent?.metadata;
  if (metadata === undefined) return [];
  const inputs: unknown = metadata.new?.inputs ?? metadata.old?.inputs;
  const operation = metadata.op;
  const volume = volumeSchema.safeParse(inputs);
  if (volume.success) {
    const { volumeGroup, volumeName, plan } = volume.data;
    return [{ volume: `${volumeGroup}/${volumeName}`, operation, ...plan }];
  }
  const cache = cacheSchema.safeParse(inputs);
  return cache.success ? cache.data.plan.map((row) => ({ operation, ...row })) : [];
}

const pending = (plan: ImagePlan): boolean => !["same", "delete"].includes(plan.operation);

/** A table of volumes and caches with what filling them costs; unchanged ones cost nothing. */
export function renderImagePlans(plans: readonly ImagePlan[]): string[] {
  if (plans.length === 0) return [];
  const head = ["VOLUME OR CACHE", "CHANGE", "CACHE", "TO FETCH", "TO WRITE", "ABOUT"];
  return formatTable([head, ...plans.map(renderRow)]);
}

function renderRow(plan: ImagePlan): string[] {
  const what = "volume" in plan ? plan.volume : `${plan.hypervisorUri} ${plan.image}`;
  if (!pending(plan)) return [what, plan.operation, "-", "-", "-", "-"];
  const bytes = (value: number | undefined): string =>
    value === undefined ? "unknown" : formatBytes(value);
  const seconds = "volume" in plan ? plan.estimateSeconds : undefined;
  return [
    ...[what, plan.operation, plan.cache, bytes(plan.bytesToFetch)],
    "volume" in plan ? bytes(plan.bytesToWrite) : "-",
    seconds === undefined ? "-" : `${seconds.toFixed(0)} s`,
  ];
}

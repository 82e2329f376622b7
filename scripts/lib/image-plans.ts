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
export interface ImagePlan extends z.infer<typeof planSchema> {
  volume: string;
  /** Pulumi's word: create, update, same, delete, … */
  operation: string;
}

const inputsSchema = z.object({
  volumeGroup: z.string(),
  volumeName: z.string(),
  plan: planSchema,
});

/** The plan of a volume, when the event is about one. */
export function parseImagePlan(event: automation.EngineEvent): ImagePlan | undefined {
  const metadata = event.resourcePreEvent?.metadata;
  const inputs = inputsSchema.safeParse(metadata?.new?.inputs ?? metadata?.old?.inputs);
  if (metadata === undefined || !inputs.success) return undefined;
  const { volumeGroup, volumeName, plan } = inputs.data;
  return { volume: `${volumeGroup}/${volumeName}`, operation: metadata.op, ...plan };
}

const pending = (plan: ImagePlan): boolean => !["same", "delete"].includes(plan.operation);

/** A table of volumes with what populating them costs; unchanged ones cost nothing. */
export function renderImagePlans(plans: readonly ImagePlan[]): string[] {
  if (plans.length === 0) return [];
  const bytes = (plan: ImagePlan, value: number | undefined): string => {
    if (!pending(plan)) return "-";
    return value === undefined ? "unknown" : formatBytes(value);
  };
  return formatTable([
    ["VOLUME", "CHANGE", "CACHE", "TO FETCH", "TO WRITE", "ABOUT"],
    ...plans.map((plan) => [
      plan.volume,
      plan.operation,
      pending(plan) ? plan.cache : "-",
      bytes(plan, plan.bytesToFetch),
      bytes(plan, plan.bytesToWrite),
      plan.estimateSeconds === undefined || !pending(plan)
        ? "-"
        : `${plan.estimateSeconds.toFixed(0)} s`,
    ]),
  ]);
}

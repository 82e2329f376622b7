import { z } from "zod";
import { argumentsSchema } from "../../image-volume/core/arguments.ts";

/** The arguments of an ImageCache; their meaning stands in resource.ts. */
export const cacheSchema = z.strictObject({
  hypervisorUris: z.array(z.string().min(1)).min(1, "must name a hypervisor"),
  images: z.array(argumentsSchema.shape.image.unwrap()),
});

export type ImageCacheArguments = z.infer<typeof cacheSchema>;

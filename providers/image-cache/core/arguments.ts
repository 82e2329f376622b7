import { z } from "zod";
import { argumentsSchema } from "../../image-volume/core/arguments.ts";

/** The arguments of an ImageCache; their meaning stands in resource.ts. */
export const cacheSchema = z.strictObject({
  hypervisorUris: z.array(z.string().min(1)).min(1, "must name a hypervisor"),
  // Nothing but the volume that is made from it would tell of an image that nothing vouches for.
  images: z.array(argumentsSchema.shape.image.unwrap().omit({ allowUnverified: true })),
});

export type ImageCacheArguments = z.infer<typeof cacheSchema>;

import * as pulumi from "@pulumi/pulumi";
import type { ImageArgs } from "../image-volume/resource.ts";
import { handlerStub } from "../stub.ts";
import type { CachePlanRow } from "./core/cache-plan.ts";

export type { CachePlanRow } from "./core/cache-plan.ts";

export interface ImageCacheArgs {
  /** The libvirt URIs of the hosts whose caches shall have the images. A change is made in place. */
  hypervisorUris: pulumi.Input<pulumi.Input<string>[]>;
  /** The images that each of them shall have. A change is made in place. */
  images: pulumi.Input<(pulumi.Input<pulumi.Unwrap<ImageArgs>> | ImageArgs)[]>;
}

/**
 * Images in the caches of libvirt hosts before any volume needs them.
 *
 * It guarantees that every host has every image, verified; what was evicted is fetched again by the
 * next `up`. Preview shows in `plan` what each host has and what fetching the rest costs. Entries
 * stay when the resource goes, for other stacks may use them.
 */
export class ImageCache extends pulumi.dynamic.Resource {
  declare readonly hypervisorUris: pulumi.Output<string[]>;
  /** One row for each host and image. */
  declare readonly plan: pulumi.Output<CachePlanRow[]>;

  constructor(name: string, args: ImageCacheArgs, options?: pulumi.CustomResourceOptions) {
    super(
      handlerStub("image-cache"),
      name,
      { ...args, plan: undefined },
      options,
      "groundwork",
      "ImageCache",
    );
  }
}

import type { DiskFormat } from "../../providers/image-volume/core/image-format.ts";
import { type BaseImage, referTo } from "../../providers/image-volume/core/base-image.ts";

/** A base image as an object in the store. */
export interface ImageObject {
  endpoint: string;
  region: string;
  bucket: string;
  /** The object's key; its checksum is `<key>.sha256`. */
  key: string;
  /** The digest that it must have, where the configuration pins one. */
  sha256?: string;
  /** What is in it; none: qcow2. */
  format?: DiskFormat;
}

/** Says which object of the store a base image is; undefined where the image is not configured. */
export function planImage(
  store: { endpoint: string; region: string; bucket: string },
  images: readonly BaseImage[],
  name: string,
): ImageObject | undefined {
  const image = images.find((each) => each.name === name);
  return image && referTo(store, image);
}

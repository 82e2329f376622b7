import type { DiskFormat } from "./image-format.ts";

/** What a base image's file can be: a disk, and how it is packed. The object's name ends in it. */
export const baseImageFormats = [
  ...(["qcow2", "qcow2.gz", "qcow2.xz", "qcow2.zst"] as const),
  ...(["raw", "raw.gz", "raw.xz", "raw.zst"] as const),
] as const;
export type BaseImageFormat = (typeof baseImageFormats)[number];

/** A base image as the configuration names it. */
export interface BaseImage {
  name: string;
  /** Default `qcow2`. */
  format?: BaseImageFormat | undefined;
  /** The digest that it must have, where one is pinned. */
  sha256?: string | undefined;
}

/** The object of a base image in the store, and what is in it where that is not the default. */
export function objectOf(image: Pick<BaseImage, "name" | "format">): {
  key: string;
  format?: DiskFormat;
} {
  const { name, format = "qcow2" } = image;
  return { key: `${name}.${format}`, ...(format.startsWith("raw") && { format: "raw" }) };
}

/** A base image as what volumes are made from. */
export function referTo<Store>(
  store: Store,
  image: BaseImage,
): Store & ReturnType<typeof objectOf> & { sha256?: string } {
  const { sha256 } = image;
  return {
    ...store,
    ...objectOf(image),
    ...(sha256 !== undefined && { sha256: sha256.toLowerCase() }),
  };
}

import type { DiskFormat } from "./image-format.ts";

/** What a base image's file can be: a disk, and how it is packed. The object's name ends in it. */
export const baseImageFormats = [
  ...(["qcow2", "qcow2.gz", "qcow2.xz", "qcow2.zst"] as const),
  ...(["raw", "raw.gz", "raw.xz", "raw.zst"] as const),
] as const;
export type BaseImageFormat = (typeof baseImageFormats)[number];

/** The object of a base image in the store, and what is in it where that is not the default. */
export function objectOf(image: { name: string; format?: BaseImageFormat | undefined }): {
  key: string;
  format?: DiskFormat;
} {
  const { name, format = "qcow2" } = image;
  return { key: `${name}.${format}`, ...(format.startsWith("raw") && { format: "raw" }) };
}

import type { ImageReference } from "./arguments.ts";
import { imageError } from "./errors.ts";
import { describeContent, parseQcow2Header } from "./qcow2.ts";

/** What is in an image's file. It is declared and never guessed: a guest can write any header. */
export const diskFormats = ["qcow2", "raw"] as const;
export type DiskFormat = (typeof diskFormats)[number];

/** How the file as a whole is packed, which the end of its name tells. */
export type Packing = "none" | "gzip" | "xz" | "zstd";

export interface ImageFormat {
  disk: DiskFormat;
  packing: Packing;
}

const packings = { gz: "gzip", xz: "xz", zst: "zstd" } as const;
const packedStarts: Readonly<Record<Exclude<Packing, "none">, string>> = {
  gzip: "1f8b",
  xz: "fd377a585a00",
  zstd: "28b52ffd",
};

/** The format that an image is declared to have, by `format` and by its name. */
export function formatOf({ key, format }: Pick<ImageReference, "key" | "format">): ImageFormat {
  const [, suffix] = /\.(gz|xz|zst)$/.exec(key) ?? [];
  return {
    disk: format ?? "qcow2",
    packing: suffix === undefined ? "none" : packings[suffix as keyof typeof packings],
  };
}

/** Whether the file is a qcow2 as it is, which qemu-img can read wherever it lies. */
export function isPlainQcow2({ disk, packing }: ImageFormat): boolean {
  return disk === "qcow2" && packing === "none";
}

/**
 * Looks at an image's first bytes before any tool opens it. Of a packed image only the packing shows;
 * what is in it is looked at on the host, by `checkDisk`.
 *
 * @param header the first bytes of the file (see `headerBytes`), or all of a smaller one
 * @param fileBytes the length of the whole file
 * @returns the size of the disk, where that shows
 * @throws GroundworkError `bad-image`
 */
export function checkImage(
  header: Uint8Array,
  fileBytes: number,
  { disk, packing }: ImageFormat,
  name: string,
): { virtualBytes?: number } {
  if (packing === "none") return { virtualBytes: checkDisk(header, fileBytes, disk, name) };
  if (Buffer.from(header).toString("hex").startsWith(packedStarts[packing])) return {};
  throw imageError(
    "bad-image",
    `Cannot use ${name}: its name says ${packing} and it is ${describeContent(header)}.`,
    { next: "Publish it under a name that ends in what it is: .gz, .xz, .zst or none of them." },
  );
}

/**
 * Looks at the first bytes of a disk and returns its size in bytes, a multiple of 512.
 * @throws GroundworkError `bad-image` for a qcow2 that `parseQcow2Header` refuses, and for a file that
 *   is declared raw and begins as another format does
 */
export function checkDisk(
  header: Uint8Array,
  fileBytes: number,
  disk: DiskFormat,
  name: string,
): number {
  if (disk === "qcow2") return parseQcow2Header(header, fileBytes, name).virtualBytes;
  const content = describeContent(header);
  if (!/^(a raw disk|something)/.test(content))
    throw imageError("bad-image", `Cannot use ${name}: it is declared raw and is ${content}.`, {
      next: "Correct its format, or publish a raw disk.",
    });
  return Math.ceil(fileBytes / 512) * 512;
}

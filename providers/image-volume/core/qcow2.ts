import type { GroundworkError } from "../../errors.ts";
import { imageError } from "./errors.ts";

/** How many of an image's first bytes {@link parseQcow2Header} wants to see. */
export const headerBytes = 4096;

/** How clusters of a qcow2 are compressed. */
export type Compression = "zlib" | "zstd";

/** What a qcow2 file says about itself, once it is known to be harmless. */
export interface Qcow2Header {
  version: 2 | 3;
  /** The size of the disk inside, in bytes: a multiple of 512. */
  virtualBytes: number;
  clusterBytes: number;
  compression: Compression;
  /** Whether its tables tell of parts of clusters too. */
  extendedL2: boolean;
}

const extensionNames = { dataFile: 0x44415441, encryption: 0x0537be77 };
const incompatible = { corrupt: 1n << 1n, dataFile: 1n << 2n, compression: 1n << 3n };
/** Dirty, compression type and extended L2 tables: what qemu-img reads without another file. */
const harmless = (1n << 0n) | incompatible.compression | (1n << 4n);
const limits = { l1Bytes: 32 * 1024 * 1024, virtualBytes: 64 * 2 ** 40 };

/**
 * Reads a qcow2 header before any tool opens the image, and refuses whatever would make a tool read
 * another file or spend without limit: backing files, external data files, encryption, features that
 * we do not know, tables out of proportion.
 *
 * @param bytes the first {@link headerBytes} of the file, or all of a smaller one
 * @param fileBytes the length of the whole file
 * @throws GroundworkError `bad-image`
 */
export function parseQcow2Header(
  bytes: Uint8Array,
  fileBytes: number,
  name = "the image",
): Qcow2Header {
  const bad = (
    seen: string,
    next = "Publish a plain qcow2 image, version 2 or 3.",
  ): GroundworkError => imageError("bad-image", `Cannot use ${name}: ${seen}.`, { next });
  const convert = "Flatten it with `qemu-img convert -O qcow2` and publish the result.";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4 || view.getUint32(0) !== 0x514649fb)
    throw bad(`it is not qcow2 but ${describeContent(bytes)}`);
  if (bytes.length < 72) throw bad("its header is cut short");
  const version = view.getUint32(4);
  if (version !== 2 && version !== 3) throw bad(`it is qcow version ${String(version)}`, convert);
  if (version === 3 && bytes.length < 104) throw bad("its header is cut short");
  if (view.getBigUint64(8) !== 0n || view.getUint32(16) !== 0)
    throw bad("it has a backing file, so it is not the whole disk", convert);
  const clusterBits = view.getUint32(20);
  if (clusterBits < 9 || clusterBits > 21)
    throw bad(`its cluster size is 2^${String(clusterBits)} bytes`, convert);
  const clusterBytes = 2 ** clusterBits;
  if (view.getUint32(32) !== 0) throw bad("it is encrypted", convert);

  const features = version === 3 ? view.getBigUint64(72) : 0n;
  if ((features & incompatible.dataFile) !== 0n) throw bad("its data is in another file", convert);
  if ((features & incompatible.corrupt) !== 0n) throw bad("it is marked as corrupt", convert);
  if ((features & ~harmless) !== 0n)
    throw bad(`it needs features that are not known (0x${features.toString(16)})`, convert);
  const extendedL2 = (features & (1n << 4n)) !== 0n;

  const virtualSize = view.getBigUint64(24);
  if (virtualSize === 0n || virtualSize % 512n !== 0n || virtualSize > BigInt(limits.virtualBytes))
    throw bad(`its virtual size is ${String(virtualSize)} bytes`);
  const virtualBytes = Number(virtualSize);

  const l1Entries = view.getUint32(36);
  const bytesPerL1Entry = clusterBytes * (clusterBytes / (extendedL2 ? 16 : 8));
  const neededEntries = Math.ceil(virtualBytes / bytesPerL1Entry);
  if (l1Entries * 8 > limits.l1Bytes || l1Entries < neededEntries)
    throw bad(`its L1 table has ${String(l1Entries)} entries for ${String(neededEntries)}`);
  const inside = (offset: bigint, length: number): boolean =>
    offset % BigInt(clusterBytes) === 0n &&
    offset >= BigInt(clusterBytes) &&
    offset + BigInt(length) <= BigInt(fileBytes);
  if (!inside(view.getBigUint64(40), l1Entries * 8))
    throw bad("its L1 table is not inside the file");
  const refcountClusters = view.getUint32(56);
  if (refcountClusters * clusterBytes > limits.l1Bytes || !inside(view.getBigUint64(48), 1))
    throw bad("its refcount table is not inside the file");
  if (view.getUint32(60) !== 0) throw bad("it holds internal snapshots", convert);

  const headerLength = version === 3 ? view.getUint32(100) : 72;
  if (version === 3 && (headerLength < 104 || headerLength > 512 || headerLength % 8 !== 0))
    throw bad(`its header claims a length of ${String(headerLength)} bytes`);
  if (version === 3 && view.getUint32(96) > 6) throw bad("its refcounts are wider than 64 bits");
  let compression: Qcow2Header["compression"] = "zlib";
  if ((features & incompatible.compression) !== 0n) {
    const type = headerLength > 104 && bytes.length > 104 ? view.getUint8(104) : undefined;
    if (type !== 0 && type !== 1) throw bad(`its compression type is ${String(type)}`, convert);
    compression = type === 1 ? "zstd" : "zlib";
  }
  checkExtensions(view, headerLength, (seen) => bad(seen, convert));
  return { version, virtualBytes, clusterBytes, compression, extendedL2 };
}

/**
 * How our own decoder reads the image (see inflate-library.ts), if it does: in clusters that direct I/O
 * can write.
 */
export function inflatesAs({
  compression,
  extendedL2,
  clusterBytes,
}: Qcow2Header): Compression | false {
  return !extendedL2 && clusterBytes >= 4096 && compression;
}

function checkExtensions(
  view: DataView,
  start: number,
  bad: (seen: string) => GroundworkError,
): void {
  let at = start;
  for (;;) {
    if (at + 8 > view.byteLength) throw bad("its header extensions do not end");
    const [type, length] = [view.getUint32(at), view.getUint32(at + 4)];
    if (type === 0) return;
    if (type === extensionNames.dataFile) throw bad("its data is in another file");
    if (type === extensionNames.encryption) throw bad("it is encrypted");
    at += 8 + Math.ceil(length / 8) * 8;
  }
}

/** What a file seems to be, by its first bytes; for errors. */
export function describeContent(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString("latin1");
  const trimmed = text.trimStart().toLowerCase();
  if (bytes.length === 0) return "an empty file";
  if (trimmed.startsWith("<!doctype html") || trimmed.startsWith("<html")) return "an HTML page";
  if (trimmed.startsWith("<?xml")) return "an XML document";
  if (text.startsWith("QFI\xfb")) return "a qcow2 image";
  if (text.startsWith("vhdxfile")) return "a VHDX image";
  if (text.startsWith("conectix")) return "a VHD image";
  if (text.startsWith("KDMV") || trimmed.startsWith("# disk descriptorfile")) return "a VMDK image";
  if (text.startsWith("\x1f\x8b")) return "a gzip file";
  if (text.startsWith("\xfd7zXZ")) return "an xz file";
  if (text.startsWith("\x28\xb5\x2f\xfd")) return "a zstd file";
  if (text.slice(510, 512) === "\x55\xaa") return "a raw disk or an ISO image";
  return "something else";
}

import { execa } from "execa";
import { existsSync } from "node:fs";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { tail } from "../../providers/errors.ts";
import { objectOf } from "../../providers/image-volume/core/base-image.ts";
import { formatBytes } from "../../providers/image-volume/core/errors.ts";
import { formatOf } from "../../providers/image-volume/core/image-format.ts";
import { imageError } from "../core/errors.ts";
import type { ImageRequest, LocalImage } from "../core/plan.ts";
import { hashFile, requireRoom } from "./cache.ts";
import { checkHeader } from "./fetch.ts";
import { type ImageStore, openImageStore, type Store } from "./store.ts";

export interface CompactOptions {
  /** Groundwork's cache; the work is done in `<cache>/compact`. */
  cache: string;
  store: Store;
  /** The name of the image that is made; the one that it is made of stays as it is. */
  as: string;
  report: (line: string) => void;
}

export interface Compacted {
  before: number;
  /** Of the new image; undefined when it would not have been smaller, and none was published. */
  after?: number;
  digest?: string;
}

/**
 * Makes a smaller image of one that the store has: zeroes left out, the rest compressed with zstd. The content of
 * the disk is the same, bit by bit.
 *
 * @throws GroundworkError `image-missing`, `image-without-checksum`, `image-digest-mismatch`, `image-exists`,
 *   `image-packed`, `bad-image`, `image-compact-failed`, `disk-full`, `object-store-*`
 */
export async function compactImage(
  image: ImageRequest,
  { cache, store: location, as, report }: CompactOptions,
): Promise<Compacted> {
  const { key } = objectOf(image);
  const format = formatOf(objectOf(image));
  if (format.packing !== "none")
    throw imageError("image-packed", `Image "${image.name}" is compressed as a whole already.`, {
      next: "Nothing has to be done for it.",
    });
  const store = openImageStore(location);
  const target = `${as}.qcow2`;
  const { bytes: before, digest: wanted } = await readSource(image.name, key, store);
  const { object, sidecar } = await store.read(target);
  if (object !== undefined) {
    const { bytes: after, digest } = object;
    if (digest === undefined || sidecar !== undefined || after >= before)
      throw imageError("image-exists", `There is an image "${as}" in the store already.`, {
        next: "Choose another name, or remove it if nothing is made from it any more.",
      });
    // A run was ended after it had uploaded it.
    await store.writeSidecar(target, digest);
    return { before, after, digest };
  }

  const parent = path.join(cache, "compact");
  await sweep(parent);
  await requireRoom(parent, 2 * before, `compact image "${image.name}"`);
  const folder = await fs.mkdtemp(path.join(parent, `${String(process.pid)}-`));
  try {
    const source = path.join(folder, "source");
    const result = path.join(folder, "result.qcow2");
    report(`${image.name}: fetching ${formatBytes(before)}`);
    await store.download(key, source);
    await requireSame(image.name, source, wanted);
    await checkHeader(image, source);
    report(`${image.name}: compressing`);
    await convert(image.name, format.disk, source, result);
    const { size: after } = await fs.stat(result);
    if (after >= before) return { before };
    const made: LocalImage = { path: result, bytes: after, digest: await hashFile(result) };
    report(`${as}: uploading ${formatBytes(after)}`);
    await store.upload(target, made, () => undefined);
    await store.writeSidecar(target, made.digest);
    return { before, after, digest: made.digest };
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
}

async function readSource(
  name: string,
  key: string,
  store: ImageStore,
): Promise<{ bytes: number; digest: string }> {
  const { object, sidecar } = await store.read(key);
  if (object === undefined)
    throw imageError("image-missing", `There is no ${key} in the store.`, {
      next: "See which images are there, and name one of them.",
    });
  if (sidecar !== undefined) return { bytes: object.bytes, digest: sidecar };
  throw imageError("image-without-checksum", `Image "${name}" has no ${key}.sha256 beside it.`, {
    next: `Upload the output of \`sha256sum\` as ${key}.sha256.`,
  });
}

async function requireSame(name: string, file: string, wanted: string): Promise<void> {
  const digest = await hashFile(file);
  if (digest === wanted) return;
  throw imageError(
    "image-digest-mismatch",
    `Image "${name}" in the store has sha256 ${digest}, and its checksum says ${wanted}.`,
    { next: "Publish it anew; nothing was made of it." },
  );
}

/** Removes what processes left that were killed; it would count against the room. */
async function sweep(parent: string): Promise<void> {
  await fs.mkdir(parent, { recursive: true });
  for (const name of await fs.readdir(parent))
    if (!existsSync(`/proc/${/^\d+/.exec(name)?.[0] ?? ""}`))
      await fs.rm(path.join(parent, name), { recursive: true });
}

async function convert(name: string, format: string, source: string, result: string) {
  const commands = [
    [
      ...["convert", "-f", format, "-O", "qcow2", "-c", "-o", "compression_type=zstd"],
      ...["-m", "16", "-W", source, result],
    ],
    ["compare", "-q", "-f", format, "-F", "qcow2", source, result],
  ];
  for (const args of commands) {
    const { exitCode, all } = await execa("qemu-img", args, { all: true, reject: false });
    if (exitCode !== 0)
      throw imageError(
        "image-compact-failed",
        `Cannot compact image "${name}": \`qemu-img ${args[0] ?? ""}\` failed: ${tail(all)}`,
        { next: "Check the image with `qemu-img check`; nothing was published." },
      );
  }
}

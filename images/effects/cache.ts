import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { formatBytes } from "../../providers/image-volume/core/errors.ts";
import { imageError } from "../core/errors.ts";
import type { LocalImage } from "../core/plan.ts";

/** The folder of finished images below the cache. */
export function imageFolder(cache: string): string {
  return path.join(cache, "images");
}

/** The finished image of this key, when it is there with its checksum; its content is not read. */
export async function readEntry(folder: string, key: string): Promise<LocalImage | undefined> {
  const file = path.join(folder, `${key}.qcow2`);
  try {
    const { size } = await fs.stat(file);
    const sidecar = await fs.readFile(`${file}.sha256`, "utf8");
    const digest = /^([0-9a-f]{64}) /.exec(sidecar)?.[1];
    return digest === undefined || size === 0 ? undefined : { path: file, digest, bytes: size };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Removes an entry, its checksum first: without one it counts as absent. */
export async function removeEntry(image: LocalImage): Promise<void> {
  await fs.rm(`${image.path}.sha256`, { force: true });
  await fs.rm(image.path, { force: true });
}

/** SHA-256 of a file. */
export async function hashFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }))
    hash.update(chunk as Buffer);
  return hash.digest("hex");
}

/** @throws GroundworkError `disk-full` when the folder's disk has less room than that. */
export async function requireRoom(folder: string, bytes: number, purpose: string): Promise<number> {
  await fs.mkdir(folder, { recursive: true });
  const { bavail, bsize } = await fs.statfs(folder);
  const free = bavail * bsize;
  if (free >= bytes) return free;
  throw imageError(
    "disk-full",
    `Cannot ${purpose}: it needs ${formatBytes(bytes)} in ${folder}, and ${formatBytes(free)} are free.`,
    { next: "Make room, or set GROUNDWORK_CACHE to a folder on another disk." },
  );
}

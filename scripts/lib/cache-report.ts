import type { Config } from "../../config.ts";
import { GroundworkError } from "../../providers/errors.ts";
import type { GoldenVolume } from "../../providers/image-cache/core/golden.ts";
import type {
  Eviction,
  listCache,
  ListedFile,
  verifyCache,
} from "../../providers/image-cache/effects/cache.ts";
import type { prewarmImage } from "../../providers/image-cache/effects/prewarm.ts";
import { type BaseImage, referTo } from "../../providers/image-volume/core/base-image.ts";
import type { ImageReference } from "../../providers/image-volume/core/arguments.ts";
import { formatAge, formatBytes, formatTable } from "./units.ts";

/** What one host answered, or why it did not. */
export type HostAnswer<Answer> = { host: string } & (Answer | { error: string });

/**
 * The stack's images that are named, or all, as objects of its store.
 * @throws GroundworkError `unknown-image`
 */
export function imagesOf(
  { images, objectStore }: Pick<Config, "objectStore"> & { images: readonly BaseImage[] },
  names?: readonly string[],
): (ImageReference & { name: string })[] {
  const known = images.map(({ name }) => name);
  const unknown = names?.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new GroundworkError({
      code: "unknown-image",
      message: `There is no image "${unknown}" in groundwork:images.`,
      next: `Choose one of: ${known.join(", ")}.`,
    });
  return images
    .filter(({ name }) => names?.includes(name) !== false)
    .map((image) => ({ name: image.name, ...referTo(objectStore, image) }));
}

const short = (digest: string): string => `${digest.slice(0, 12)}…`;

export function describeListing({
  folder,
  files,
  golden,
  freeBytes,
  nowSeconds,
}: Awaited<ReturnType<typeof listCache>>): string[] {
  const used = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const summary = `${folder}: ${formatBytes(used)} used, ${formatBytes(freeBytes)} free`;
  return [
    summary,
    ...(files.length === 0 ? [] : describeFiles(files, nowSeconds)),
    ...(golden.length === 0 ? [] : describeGolden(golden)),
  ];
}

function describeFiles(files: readonly ListedFile[], nowSeconds: number): string[] {
  return formatTable([
    ["DIGEST", "STATE", "SIZE", "LAST USED", "NOW", "VOLUMES"],
    ...files.map(({ digest, state, bytes, usedAtSeconds, inUse, volumes }) => [
      short(digest),
      state,
      formatBytes(bytes),
      formatAge(nowSeconds - usedAtSeconds),
      inUse ? "in use" : "-",
      volumes.join(", "),
    ]),
  ]);
}

function describeGolden(golden: readonly GoldenVolume[]): string[] {
  return formatTable([
    ["DIGEST", "GOLDEN VOLUME", "DISK", "STATE", "VOLUMES"],
    ...golden.map(({ digest, id, sizeBytes, complete, volumes }) => [
      short(digest),
      id,
      formatBytes(sizeBytes),
      complete ? "whole" : "interrupted",
      volumes.join(", "),
    ]),
  ]);
}

export function describePrewarm({
  images,
}: {
  images: (Awaited<ReturnType<typeof prewarmImage>> & { name: string })[];
}): string[] {
  return images.map(({ name, digest, cache, bytesToFetch }) =>
    cache === "hit"
      ? `${name}: was there, ${short(digest)}`
      : `${name}: fetched ${formatBytes(bytesToFetch)}, ${short(digest)}`,
  );
}

const meanings: Record<Awaited<ReturnType<typeof verifyCache>>[number]["result"], string> = {
  ok: "is what it was",
  corrupt: "had changed; set aside as *.corrupt, fetched again when it is needed",
  "corrupt-in-use": "has changed, and a run is reading it, which will set it aside",
  busy: "is being removed",
  gone: "has been removed meanwhile",
};

export function describeVerification({
  entries,
}: {
  entries: Awaited<ReturnType<typeof verifyCache>>;
}): string[] {
  return entries.map(({ file, result }) => `${short(file.digest)} ${meanings[result]}`);
}

const reasons = { named: "named", age: "too old", count: "too many", size: "too large together" };

export function describeEviction({
  evict,
  kept,
  excessBytes,
  excessEntries,
  golden = [],
  dryRun,
}: Eviction & { golden?: readonly GoldenVolume[]; dryRun: boolean }): string[] {
  const sum = evict.reduce((total, { file }) => total + file.bytes, 0);
  return [
    ...evict.map(
      ({ file, reason }) =>
        `${short(file.digest)} ${file.state}, ${formatBytes(file.bytes)}: ${reasons[reason]}`,
    ),
    ...kept.map(({ digest }) => `${short(digest)} stays: a run uses it`),
    ...golden.map(({ id, digest }) => `${short(digest)} golden volume ${id}: of no volume`),
    `${dryRun ? "would remove" : "removed"} ${String(evict.length)} files, ${formatBytes(sum)}${golden.length === 0 ? "" : `, and ${String(golden.length)} golden volumes`}`,
    ...(excessBytes > 0 ? [`${formatBytes(excessBytes)} too much, all of it in use`] : []),
    ...(excessEntries > 0 ? [`${String(excessEntries)} too many, all of them in use`] : []),
  ];
}

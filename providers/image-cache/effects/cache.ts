import { openHost } from "../../host/effects/host.ts";
import type { CacheLayout } from "../../image-volume/core/layout.ts";
import {
  forgetObservation,
  observeHost,
  readCacheLayout,
} from "../../image-volume/effects/hosts.ts";
import { type CacheLimits, type EvictionPlan, planEviction } from "../core/eviction-plan.ts";
import { type GoldenVolume, listGolden } from "../core/golden.ts";
import { type CacheFile, type CacheListing, parseListing } from "../core/listing.ts";
import { renderEvict, renderList, renderVerify } from "../core/scripts.ts";

/** A file of the cache with the volumes that hold its image. */
export interface ListedFile extends CacheFile {
  /** `<volume group>/<volume>` of each volume whose tags name this digest. They do not need the file. */
  volumes: string[];
}

/**
 * Lists a host's cache, its golden volumes, and which volumes were written from them; changes nothing.
 * @throws GroundworkError `host-unreachable`, `command-failed`, `bad-cache-listing`, …
 */
export async function listCache(
  uri: string,
): Promise<
  Omit<CacheListing, "files"> & { folder: string; files: ListedFile[]; golden: GoldenVolume[] }
> {
  const [listing, host] = await Promise.all([readListing(uri), observeHost(uri, { fresh: true })]);
  const files = listing.files.map((file) => ({
    ...file,
    volumes: [...host.volumes]
      .filter(([, { marks }]) => marks.digest === file.digest)
      .map(([id]) => id),
  }));
  const golden = listGolden(host.volumes);
  return { folder: readCacheLayout().folder, ...listing, files, golden };
}

async function readListing(uri: string): Promise<CacheListing> {
  const host = openHost(uri);
  const printed = await host.run(renderList(readCacheLayout()), { purpose: "list the cache" });
  return parseListing(printed, host.name);
}

/**
 * What became of one entry: `ok` · `corrupt`: set aside · `corrupt-in-use`: a run reads it and will
 * set it aside · `busy`: it is being removed · `gone`.
 */
export type VerifyResult = "ok" | "corrupt" | "corrupt-in-use" | "busy" | "gone";

/**
 * Reads every entry, or those of the given digests, and sets aside what has changed since it was
 * verified. The next run that needs such an image fetches it again.
 */
export async function verifyCache(
  uri: string,
  digests?: readonly string[],
): Promise<{ file: CacheFile; result: VerifyResult }[]> {
  const { files } = await readListing(uri);
  const entries = files.filter(
    ({ state, digest }) =>
      ["whole", "encoded", "truncated"].includes(state) && digests?.includes(digest) !== false,
  );
  const results = await runOnFiles(uri, entries, renderVerify, "verify the cache");
  return entries.map((file) => ({
    file,
    result: (results.get(file.name)?.[1] ?? "gone") as VerifyResult,
  }));
}

export interface Eviction extends EvictionPlan {
  /** Chosen, but used by a run before its turn came; kept. */
  kept: CacheFile[];
}

/**
 * Removes files until the cache keeps the limits (see `planEviction`); with `dryRun` only says which.
 * Never removes what a run is fetching or reading.
 */
export async function evictFromCache(
  uri: string,
  limits: CacheLimits,
  options: { dryRun?: boolean } = {},
): Promise<Eviction> {
  const { files, nowSeconds } = await readListing(uri);
  const planned = planEviction(files, limits, nowSeconds);
  if (options.dryRun === true) return { ...planned, kept: [] };
  const chosen = planned.evict.map(({ file }) => file);
  const results = await runOnFiles(uri, chosen, renderEvict, "evict from the cache");
  const isKept = (file: CacheFile): boolean => results.get(file.name)?.[0] !== "evicted";
  return {
    ...planned,
    evict: planned.evict.filter(({ file }) => !isKept(file)),
    kept: chosen.filter(isKept),
  };
}

/** Runs a script of lines `WORD TAB NAME …` and returns the other words of each line by the name. */
async function runOnFiles(
  uri: string,
  files: readonly CacheFile[],
  render: (cache: CacheLayout, files: readonly CacheFile[]) => string,
  purpose: string,
): Promise<Map<string | undefined, (string | undefined)[]>> {
  if (files.length === 0) return new Map();
  const printed = await openHost(uri)
    .run(render(readCacheLayout(), files), { purpose, timeoutSeconds: 4 * 3600 })
    .finally(() => {
      forgetObservation(uri);
    });
  const rows = printed.split("\n").map((line) => line.split("\t"));
  return new Map(rows.map(([word, name, result]) => [name, [word, result]]));
}

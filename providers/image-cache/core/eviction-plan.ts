import type { CacheFile } from "./listing.ts";

/** What a cache may hold; every limit that is given must be kept. */
export interface CacheLimits {
  /** All files together, in bytes. */
  maxBytes?: number;
  /** The number of whole entries. */
  maxEntries?: number;
  /** Whatever was used last before so many seconds goes. */
  maxAgeSeconds?: number;
  /** The files of these digests go, whatever their age. */
  digests?: readonly string[];
}

/** Why a file goes: the limit that it exceeds, or that it was named. */
export type EvictionReason = "named" | "age" | "count" | "size";

export interface EvictionPlan {
  evict: { file: CacheFile; reason: EvictionReason }[];
  /** Bytes that stay beyond `maxBytes`, since what is in use is never evicted. */
  excessBytes: number;
  /** Entries that stay beyond `maxEntries`, likewise. */
  excessEntries: number;
}

/**
 * Chooses what goes, so that the limits are kept: first what no run can use (set aside, cut short,
 * interrupted), then copies of entries, then entries, the longest unused first. What is in use stays.
 */
export function planEviction(
  files: readonly CacheFile[],
  limits: CacheLimits,
  nowSeconds: number,
): EvictionPlan {
  const { maxBytes = Infinity, maxEntries = Infinity, maxAgeSeconds = Infinity, digests } = limits;
  const reasons = new Map<CacheFile, EvictionReason>();
  const kept = (): CacheFile[] => files.filter((file) => !reasons.has(file));
  const excessBytes = (): number =>
    Math.max(0, kept().reduce((sum, { bytes }) => sum + bytes, 0) - maxBytes);
  const excessEntries = (): number => Math.max(0, kept().filter(isEntry).length - maxEntries);

  const candidates = files
    .filter(({ inUse }) => !inUse)
    .toSorted(
      (one, other) => rankOf(one) - rankOf(other) || one.usedAtSeconds - other.usedAtSeconds,
    );
  const evictWhere = (reason: EvictionReason, goes: (file: CacheFile) => boolean): void => {
    for (const file of candidates) if (!reasons.has(file) && goes(file)) reasons.set(file, reason);
  };
  evictWhere("named", ({ digest }) => digests?.includes(digest) === true);
  evictWhere("age", ({ usedAtSeconds }) => nowSeconds - usedAtSeconds > maxAgeSeconds);
  evictWhere("count", (file) => isEntry(file) && excessEntries() > 0);
  evictWhere("size", ({ bytes }) => bytes > 0 && excessBytes() > 0);
  return {
    evict: [...reasons].map(([file, reason]) => ({ file, reason })),
    excessBytes: excessBytes(),
    excessEntries: excessEntries(),
  };
}

/** How dear a file is: it must be fetched again, it can be made again, it is of no use. */
function rankOf({ state }: CacheFile): number {
  return state === "whole" ? 2 : state === "encoded" ? 1 : 0;
}

function isEntry({ state }: CacheFile): boolean {
  return state === "whole";
}

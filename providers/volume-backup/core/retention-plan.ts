import type { Backup } from "./backups.ts";

/** What is kept of each volume; what either limit excludes goes. */
export interface Retention {
  /** The newest ones. */
  maxCount?: number;
  /** Those that were taken within so many seconds. */
  maxAgeSeconds?: number;
}

export type RetentionReason = "count" | "age" | "incomplete";

/** How old a backup without checksum must be: until then another run may be writing it. */
export const incompleteAfterSeconds = 24 * 3600;

/**
 * Chooses which backups go. The newest complete one of each volume stays whatever the limits, and so does
 * what a stack file names as an image, and what was sealed to make machines from.
 */
export function planRetention(
  backups: readonly Backup[],
  retention: Retention,
  inUse: readonly string[],
  nowSeconds: number,
): { backup: Backup; reason: RetentionReason }[] {
  const { maxCount = Infinity, maxAgeSeconds = Infinity } = retention;
  const goes: { backup: Backup; reason: RetentionReason }[] = [];
  for (const volume of new Set(backups.map((backup) => backup.volume))) {
    const newestFirst = backups
      .filter((backup) => backup.volume === volume && !backup.sealed)
      .toSorted((one, other) => other.takenAtSeconds - one.takenAtSeconds);
    let kept = 0;
    for (const backup of newestFirst) {
      const age = nowSeconds - backup.takenAtSeconds;
      if (!backup.complete) {
        if (age > incompleteAfterSeconds) goes.push({ backup, reason: "incomplete" });
        continue;
      }
      const reason = kept >= maxCount ? "count" : age > maxAgeSeconds ? "age" : undefined;
      if (reason !== undefined && kept > 0 && !inUse.includes(backup.image))
        goes.push({ backup, reason });
      else kept += 1;
    }
  }
  return goes;
}

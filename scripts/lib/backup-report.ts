import type { Backup } from "../../providers/volume-backup/core/backups.ts";
import type { RetentionReason } from "../../providers/volume-backup/core/retention-plan.ts";
import { formatAge, formatBytes, formatTable } from "./units.ts";

export function describeBackups(
  backups: readonly Backup[],
  inUse: readonly string[],
  nowSeconds: number,
): string[] {
  if (backups.length === 0) return ["There are no backups."];
  return formatTable([
    ["IMAGE", "VOLUME", "AGE", "SIZE", "STATE"],
    ...backups.map(({ image, volume, takenAtSeconds, bytes, sealed, complete }) => [
      ...[image, volume, formatAge(nowSeconds - takenAtSeconds), formatBytes(bytes)],
      [
        complete ? "complete" : "without checksum",
        ...(sealed ? ["sealed"] : []),
        ...(inUse.includes(image) ? ["image of this stack"] : []),
      ].join(", "),
    ]),
  ]);
}

const reasons: Record<RetentionReason, string> = {
  count: "too many",
  age: "too old",
  incomplete: "never came to its end",
};

export function describePruned(
  goes: readonly { backup: Backup; reason: RetentionReason }[],
  dryRun: boolean,
): string[] {
  const bytes = goes.reduce((sum, { backup }) => sum + backup.bytes, 0);
  return [
    ...goes.map(({ backup, reason }) => `${backup.image}: ${reasons[reason]}`),
    `${dryRun ? "would remove" : "removed"} ${String(goes.length)} backups, ${formatBytes(bytes)}`,
  ];
}

/** What brings a backup back: lines for a stack file. */
export function describeRestore(image: string, volume: string): string[] {
  return [
    `To make volume ${volume} from it, or another one, add to groundwork:images`,
    `  - name: ${image}`,
    `and name it as the volume's image; then \`make up\`.`,
  ];
}

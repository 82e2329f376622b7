import { formatBytes } from "../../image-volume/core/errors.ts";
import { composeError } from "./errors.ts";

/** The disk under a folder of a host. */
export interface Disk {
  folder: string;
  freeBytes: number;
}

/**
 * Free space that a deployment begins with, beside its files: Compose makes a new container before it
 * removes the one in its place, and the previous project may have to come back.
 */
const leastFreeBytes = 100 * 2 ** 20;

/** Defines `room`, which prints the free bytes of the disk that a folder is on or will be on, if it can be told. */
export const roomFunction = [
  "room() {",
  "  local folder=$1",
  '  until [ -d "$folder" ] || [ "$folder" = / ]; do folder=${folder%/*} && folder=${folder:-/}; done',
  "  { df -B1 --output=avail -- \"$folder\" 2>/dev/null || true; } | awk 'NR == 2 { print $1 }'",
  "}",
].join("\n");

/** Reads lines `<free bytes> <folder>`; of a disk that could not be looked at there is none. */
export function parseDisks(text: string): Disk[] {
  return text.split("\n").flatMap((line) => {
    const [, bytes, folder] = /^(\d+) (.+)$/.exec(line) ?? [];
    return bytes === undefined || folder === undefined
      ? []
      : [{ folder, freeBytes: Number(bytes) }];
  });
}

/**
 * Refuses a release for which there is no room, while nothing is touched yet.
 * @throws GroundworkError `disk-nearly-full`
 */
export function refuseFullDisk(
  wish: { project: string; host: string; releaseBytes: number },
  disks: readonly Disk[],
): void {
  const needed = leastFreeBytes + wish.releaseBytes;
  const full = disks.find(({ freeBytes }) => freeBytes < needed);
  if (full === undefined) return;
  throw fullDisk(`Refused to deploy project "${wish.project}" to ${wish.host}`, full, needed);
}

/** The error for a disk that has not the bytes that are needed. */
export function fullDisk(start: string, disk: Disk, needed: number): Error {
  const free = formatBytes(disk.freeBytes);
  return composeError(
    "disk-nearly-full",
    `${start}: the disk of ${disk.folder} has ${free} free, and ${formatBytes(needed)} are needed. Nothing was stopped or changed.`,
    "Free some there (`docker system df` shows what Docker takes, `docker image prune --all` removes images that nothing runs), then run the same command again.",
  );
}

import { GroundworkError } from "../../errors.ts";

/**
 * A backup is a base image like any other: `<volume>.<when>`, or `<volume>.<when>.sealed` without what
 * makes a machine that one machine. A stack file refers to it by that name.
 */
export interface Backup {
  /** What a stack file calls it. */
  image: string;
  /** The volume whose content it has. */
  volume: string;
  takenAtSeconds: number;
  sealed: boolean;
  /** Of the object, compressed; 0 where there is only a checksum left. */
  bytes: number;
  /** Whether its checksum is there, which is written last and removed first. */
  complete: boolean;
}

/** An object of the store. */
export interface StoredObject {
  key: string;
  bytes: number;
}

const suffix = ".qcow2";
/** The longest name of an image that a stack file can have. */
const longestImage = 64;

/**
 * The name of a backup that is taken now.
 * @throws GroundworkError `backup-name-too-long`
 */
export function backupImage(volume: string, takenAtSeconds: number, sealed: boolean): string {
  const when = new Date(takenAtSeconds * 1000)
    .toISOString()
    .replace(/[-:]|\.\d+/g, "")
    .toLowerCase();
  const image = `${volume}.${when}${sealed ? ".sealed" : ""}`;
  if (image.length <= longestImage) return image;
  throw new GroundworkError({
    code: "backup-name-too-long",
    message: `Cannot back up volume "${volume}": its name with the time has ${String(image.length)} characters, and an image's name at most ${String(longestImage)}.`,
    next: "Give the machine a shorter name.",
  });
}

/** The object of a backup. */
export function backupKey(image: string): string {
  return `${image}${suffix}`;
}

function parseImage(
  image: string,
): Pick<Backup, "volume" | "takenAtSeconds" | "sealed"> | undefined {
  const [, volume, year, month, day, hour, minute, second, sealed] =
    /^([a-z0-9-]+)\.([0-9]{4})([0-9]{2})([0-9]{2})t([0-9]{2})([0-9]{2})([0-9]{2})z(\.sealed)?$/.exec(
      image,
    ) ?? [];
  if (volume === undefined) return undefined;
  const time = Date.parse(
    `${year ?? ""}-${month ?? ""}-${day ?? ""}T${hour ?? ""}:${minute ?? ""}:${second ?? ""}Z`,
  );
  return Number.isNaN(time)
    ? undefined
    : { volume, takenAtSeconds: time / 1000, sealed: sealed !== undefined };
}

/** The backups among the objects of a bucket, of the given volumes only, the oldest first. */
export function parseBackups(
  objects: readonly StoredObject[],
  volumes: readonly string[],
): Backup[] {
  const found = new Map<string, Backup>();
  for (const { key, bytes } of objects) {
    const [, image = "", checksum] = /^(.*)\.qcow2(\.sha256)?$/.exec(key) ?? [];
    const named = parseImage(image);
    if (named === undefined || !volumes.includes(named.volume)) continue;
    const before = found.get(image) ?? { image, ...named, bytes: 0, complete: false };
    found.set(image, checksum === undefined ? { ...before, bytes } : { ...before, complete: true });
  }
  return [...found.values()]
    .map((backup) => ({ ...backup, complete: backup.complete && backup.bytes > 0 }))
    .sort((one, other) => one.takenAtSeconds - other.takenAtSeconds);
}

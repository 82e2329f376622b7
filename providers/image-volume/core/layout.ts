import { checkedName } from "../../volume-group/core/commands.ts";
import { imageError } from "./errors.ts";

/**
 * The one owner of names on a hypervisor: cache files, locks, volumes, tags. Whoever writes one and
 * whoever looks for it both come here.
 */

/** Where a hypervisor keeps images unless GROUNDWORK_IMAGE_CACHE says otherwise. */
export const defaultCacheFolder = "/var/lib/groundwork/cache";

const hexDigest = /^[0-9a-f]{64}$/;

/** Whether a text is a digest as we write it: SHA-256 in 64 lower-case hexadecimal digits. */
export function isDigest(text: string): boolean {
  return hexDigest.test(text);
}

function checkedDigest(digest: string): string {
  if (isDigest(digest)) return digest;
  throw imageError("bad-digest", `Cannot use ${JSON.stringify(digest.slice(0, 80))} as a digest.`, {
    next: "A digest is SHA-256 in 64 hexadecimal digits.",
  });
}

export interface CacheLayout {
  readonly folder: string;
  /**
   * The file of a verified image. Its name tells its length, so that a file cut short by a power
   * failure is recognised without reading it.
   */
  entry(digest: string, bytes: number): string;
  /** The file into which an image is fetched; at most one per digest, resumed by the next run. */
  partial(digest: string): string;
  /** Held while one run fetches the digest, so that the others wait and then find it. */
  lock(digest: string): string;
  /** The file into which the copy of an entry is written that decodes faster. */
  encodingDraft(digest: string): string;
  /** The decoded image while several volumes of one run, which is named by `run`, are written from it. */
  decoded(digest: string, run: string): string;
  /** Held while that is done. */
  encodingLock(digest: string): string;
  /** What this host has measured of the steps of earlier runs. */
  readonly rates: string;
  /** The folder of a backup that is on its way to the store. */
  readonly backups: string;
}

/** @throws GroundworkError `bad-cache-folder` when the path is not absolute, or climbs. */
export function cacheLayout(folder: string): CacheLayout {
  const parts = folder.split("/").slice(1);
  if (!folder.startsWith("/") || parts.some((part) => [".", "..", ""].includes(part)))
    throw imageError("bad-cache-folder", `Cannot keep images in ${JSON.stringify(folder)}.`, {
      next: "Set GROUNDWORK_IMAGE_CACHE to an absolute path without `.`, `..` or a slash at its end.",
    });
  return {
    folder,
    entry: (digest, bytes) => `${folder}/${entryName(digest, bytes)}`,
    partial: (digest) => `${folder}/${checkedDigest(digest)}.part`,
    lock: (digest) => `${folder}/${checkedDigest(digest)}.lock`,
    encodingDraft: (digest) => `${folder}/${checkedDigest(digest)}.part.zstd`,
    decoded: (digest, run) => `${folder}/${checkedDigest(digest)}.part.decoded.${run}`,
    encodingLock: (digest) => `${folder}/${checkedDigest(digest)}.part.zstd.lock`,
    rates: `${folder}.rates`,
    backups: `${folder}.backups`,
  };
}

/** Matches the name of every `decoded` file of the image. */
export function decodedPattern(digest: string): string {
  return `${checkedDigest(digest)}.part.decoded.*`;
}

function entryName(digest: string, bytes: number): string {
  return `${checkedDigest(digest)}.${String(bytes)}.image`;
}

/** Reads the name of a file in the cache; `undefined` for whatever is not a finished entry. */
export function parseEntryName(name: string): { digest: string; bytes: number } | undefined {
  const [, digest, bytes] = /^([0-9a-f]{64})\.([1-9][0-9]{0,15}|0)\.image$/.exec(name) ?? [];
  if (digest === undefined || bytes === undefined) return undefined;
  return Number.isSafeInteger(Number(bytes)) ? { digest, bytes: Number(bytes) } : undefined;
}

/** What a file in the cache is, by its name. `encoded`: a copy of an entry, with a digest of its own. */
export type CacheName =
  | { kind: "entry"; digest: string; bytes: number }
  | { kind: "encoded"; digest: string; bytes: number; own: string }
  | { kind: "corrupt" | "partial" | "lock"; digest: string };

/** Reads the name of any file in the cache; `undefined` for one that is not ours. */
export function parseCacheName(name: string): CacheName | undefined {
  const entry = parseEntryName(name);
  if (entry !== undefined) return { kind: "entry", ...entry };
  const [, of, own, length] =
    /^([0-9a-f]{64})\.([0-9a-f]{64})\.([1-9][0-9]{0,14})\.zstd$/.exec(name) ?? [];
  if (of !== undefined && own !== undefined)
    return { kind: "encoded", digest: of, own, bytes: Number(length) };
  const setAside = name.endsWith(corruptSuffix)
    ? parseEntryName(name.slice(0, -corruptSuffix.length))
    : undefined;
  if (setAside !== undefined) return { kind: "corrupt", digest: setAside.digest };
  const [, digest, suffix] = /^([0-9a-f]{64})\.(part(?:\.[a-z0-9.]+)?|lock)$/.exec(name) ?? [];
  if (digest === undefined) return undefined;
  return { kind: suffix === "lock" ? "lock" : "partial", digest };
}

/** Added to the name of an entry that is set aside because its content had changed. */
export const corruptSuffix = ".corrupt";

/** Held while one run works on the volume. */
export function volumeLock(volumeGroup: string, volume: string): string {
  return `/run/lock/groundwork-${checkedName("volume group", volumeGroup)}-${checkedName("volume", volume)}.lock`;
}

/** The id of the resource: `<volume group>/<volume>`. */
export function volumeId(volumeGroup: string, volume: string): string {
  return `${checkedName("volume group", volumeGroup)}/${checkedName("volume", volume)}`;
}

/** @throws GroundworkError `bad-volume-id`, `bad-volume-name`. */
export function parseVolumeId(id: string): { volumeGroup: string; volumeName: string } {
  const [volumeGroup, volumeName, ...rest] = id.split("/");
  if (volumeGroup === undefined || volumeName === undefined || rest.length > 0)
    throw imageError("bad-volume-id", `Cannot read ${JSON.stringify(id)} as the id of a volume.`, {
      next: "Write <volume group>/<volume>.",
    });
  return {
    volumeGroup: checkedName("volume group", volumeGroup),
    volumeName: checkedName("volume", volumeName),
  };
}

/** `<project>/<stack>`, with an organisation before it where the backend has one. */
export const ownerPattern = /^[A-Za-z0-9_.-]{1,100}(\/[A-Za-z0-9_.-]{1,100}){1,2}$/;

/**
 * What a volume is for, beside being somebody's. `golden`: an image's pristine content, of which thin
 * volumes are clones · `next`: it will take another's place · `previous`: it has made place for another ·
 * `snapshot`: another's content at some time · `aside`: it has made place for that and goes.
 */
const roles = ["golden", "next", "previous", "snapshot", "aside"] as const;
export type Role = (typeof roles)[number];

/**
 * What the tags of a volume say. `state` is written last: a volume without it is one whose making
 * was interrupted. `adopted` means that the content was there before us and is not known to be the
 * image that the digest names.
 */
export interface VolumeMarks {
  owner?: string;
  digest?: string;
  state?: "populated" | "adopted";
  /** The generation that its content was asked for with; none: 0. */
  generation?: number;
  /** How often its content has been written; unknown for what was there before us. */
  writes?: number;
  /** UUIDs of the domains that a run stopped and is to start again. */
  stopped?: readonly string[];
  /** Growing began at this size, and the bytes from here on may not be zeroed yet. */
  growingFromBytes?: number;
  role?: Role;
  /** The snapshot, as `<name>:<when it was taken>`, whose content it gets or has just got. */
  reverting?: string;
}

/** What every tag of ours begins with. */
export const prefix = "groundwork.";
/** What stands before a domain's UUID in the tag that says that we stopped it. */
export const stoppedPrefix = `${prefix}stopped=`;
/** As libvirt writes a UUID. */
export const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The tags that say this. LVM allows letters, digits and `_+.-/=!:&#` in them. */
export function buildTags(marks: VolumeMarks): string[] {
  return [
    ...(marks.role === undefined ? [] : [`${prefix}role=${marks.role}`]),
    ...(marks.owner === undefined ? [] : [`${prefix}owner=${marks.owner}`]),
    ...(marks.digest === undefined ? [] : [`${prefix}digest=sha256:${marks.digest}`]),
    ...(marks.state === undefined ? [] : [`${prefix}state=${marks.state}`]),
    ...(marks.growingFromBytes === undefined
      ? []
      : [`${prefix}growing=${String(marks.growingFromBytes)}`]),
    ...((marks.generation ?? 0) === 0 ? [] : [`${prefix}generation=${String(marks.generation)}`]),
    ...(marks.writes === undefined ? [] : [`${prefix}writes=${String(marks.writes)}`]),
    ...(marks.reverting === undefined ? [] : [`${prefix}reverting=${marks.reverting}`]),
    ...(marks.stopped ?? []).map((uuid) => `${stoppedPrefix}${uuid}`),
  ];
}

/** Whether a tag is one of ours, so that ours can be replaced and others stay. */
export function isOwnTag(tag: string): boolean {
  return tag.startsWith(prefix);
}

/** Reads the tags of a volume. One that is there twice with two values counts as absent. */
export function parseTags(tags: readonly string[]): VolumeMarks {
  const value = (name: string): string | undefined => {
    const start = `${prefix}${name}=`;
    const values = new Set(tags.filter((tag) => tag.startsWith(start)));
    return values.size === 1 ? [...values][0]?.slice(start.length) : undefined;
  };
  const owner = value("owner");
  const digest = value("digest")?.replace(/^sha256:/, "");
  const state = value("state");
  const growing = value("growing");
  const whole = (name: string): number | undefined => {
    const text = value(name);
    return text !== undefined && /^[0-9]{1,9}$/.test(text) ? Number(text) : undefined;
  };
  const [generation, writes] = [whole("generation"), whole("writes")];
  const stopped = tags
    .filter((tag) => tag.startsWith(stoppedPrefix))
    .map((tag) => tag.slice(stoppedPrefix.length))
    .filter((uuid) => uuidPattern.test(uuid));
  const role = roles.find((each) => each === value("role"));
  const reverting = value("reverting");
  return {
    ...(owner !== undefined && { owner }),
    ...(digest !== undefined && isDigest(digest) && { digest }),
    ...(role !== undefined && { role }),
    ...((state === "populated" || state === "adopted") && { state }),
    ...(growing !== undefined &&
      /^[0-9]{1,15}$/.test(growing) && { growingFromBytes: Number(growing) }),
    ...(generation !== undefined && generation > 0 && { generation }),
    ...(writes !== undefined && { writes }),
    ...(stopped.length > 0 && { stopped }),
    ...(reverting !== undefined && { reverting }),
  };
}

/**
 * Names what is on a volume, so that another name means that it was written anew; `undefined` where
 * that is not known, as for a volume that was taken over.
 */
export function contentId(marks: VolumeMarks): string | undefined {
  if (marks.state === undefined || marks.writes === undefined) return undefined;
  return `${marks.digest?.slice(0, 12) ?? "zeroes"}.${String(marks.writes)}`;
}

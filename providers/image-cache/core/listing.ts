import { GroundworkError } from "../../errors.ts";
import { parseCacheName } from "../../image-volume/core/layout.ts";

/** A file in a host's cache. */
export interface CacheFile {
  /** Its name in the cache's folder. */
  name: string;
  /** The image's digest: SHA-256 in 64 hexadecimal digits. */
  digest: string;
  /**
   * `whole`: an entry of the length that its name tells · `truncated`: an entry of another length,
   * never used · `encoded`: a copy of an entry that decodes faster · `corrupt`: an entry set aside
   * because its content had changed · `partial`: what a fetch has brought so far.
   */
  state: "whole" | "encoded" | "truncated" | "corrupt" | "partial";
  /** The digest that its own content must have; absent where that is not known. */
  contentDigest?: string;
  /** What it takes on the host's disk, as its length. */
  bytes: number;
  /** When a run used it last, or wrote to it; seconds since 1970 by the host's clock. */
  usedAtSeconds: number;
  /** Whether a run is fetching the image, or reading this entry, at this moment. */
  inUse: boolean;
}

/** One look at a host's cache. */
export interface CacheListing {
  /** The oldest use first. */
  files: CacheFile[];
  /** Free bytes of the file system that the cache is on. */
  freeBytes: number;
  /** The host's clock, in seconds since 1970. */
  nowSeconds: number;
}

/** What volumes are written from at the moment, for which nobody holds a lock: a disk that was decoded or unpacked. */
const isScratch = (name: string): boolean => /\.part\.(decoded|unpacked)\./.test(name);

/** After so long a run that left them is taken for dead, as by the next run with the image. */
const scratchSeconds = 24 * 3600;

/**
 * Reads what the script of `renderList` printed.
 * @throws GroundworkError `bad-cache-listing`
 */
export function parseListing(printed: string, hostName: string): CacheListing {
  const rows = printed.split("\n").map((line) => line.split("\t"));
  const valuesOf = (kind: string): string[] =>
    rows.flatMap(([first, value]) => (first === kind && value !== undefined ? [value] : []));
  const number = (kind: string): number => {
    const [text = ""] = valuesOf(kind);
    if (/^[0-9]{1,15}$/.test(text.trim())) return Number(text);
    throw new GroundworkError({
      code: "bad-cache-listing",
      message: `Cannot understand what ${hostName} says of its cache: "${kind}" is ${JSON.stringify(text)} and not a number.`,
      next: "Check that find, df and date there are those of GNU.",
    });
  };
  const busy = new Set(valuesOf("busy"));
  const now = number("now");
  const isYoung = (time: string): boolean => now - Number(time) < scratchSeconds;
  const files = rows.flatMap(([kind, name = "", bytes = "", time = ""]) => {
    const named = kind === "file" ? parseCacheName(name) : undefined;
    if (named === undefined || named.kind === "lock" || !/^[0-9]{1,15}$/.test(bytes)) return [];
    const { digest } = named;
    const cut = "bytes" in named && String(named.bytes) !== bytes;
    const whole = named.kind === "entry" ? "whole" : named.kind;
    const content =
      named.kind === "entry" ? digest : named.kind === "encoded" ? named.own : undefined;
    const file: CacheFile = {
      ...{ name, digest, bytes: Number(bytes), usedAtSeconds: Math.floor(Number(time)) },
      ...(content !== undefined && { contentDigest: content }),
      state: cut ? "truncated" : whole,
      inUse: busy.has(name) || busy.has(`${digest}.lock`) || (isScratch(name) && isYoung(time)),
    };
    return [file];
  });
  files.sort(
    (one, other) => one.usedAtSeconds - other.usedAtSeconds || (one.name < other.name ? -1 : 1),
  );
  return { files, freeBytes: number("free"), nowSeconds: now };
}

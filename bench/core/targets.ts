/** What was measured: seconds by name, each the median of its runs, and other figures. */
export interface Figures {
  /** Seconds: `naive`, `peer`, `cold`, `warm`, `zstdCold`, `zstdWarm`, `warmCopy`, and the floors. */
  seconds: Partial<Record<Measured, number>>;
  /** Seconds to make so many volumes of one image at once, nothing cached. */
  volumes: ReadonlyMap<number, number>;
  /** How often the image was downloaded for the largest number of volumes. */
  downloads?: number;
  /** Bytes that a second, unchanged `up` wrote onto the volume. */
  bytesWrittenUnchanged?: number;
  /** Peak memory of the process that makes a volume, by the MiB of data in the image. */
  peakMiB: ReadonlyMap<number, number>;
}

export type Measured =
  | "downloadFloor"
  | "decodeFloor"
  | "zstdDecodeFloor"
  | "writeFloor"
  | "naive"
  | "peer"
  | "cold"
  | "warm"
  | "zstdCold"
  | "zstdWarm"
  | "warmCopy"
  | "previewOne"
  | "previewHundred"
  | "link"
  | "linkCold"
  | "bareClone"
  | "clone"
  | "largeClone";

/** A promise of the project, and how it came out. */
export interface Verdict {
  promise: string;
  /** Absent: it was not measured. */
  seen?: number;
  limit: number;
  holds?: boolean;
}

/** Holds each promise against the figures of one run. */
export function judge(figures: Figures): Verdict[] {
  const { seconds: s } = figures;
  const ratio = (of: number | undefined, by: number | undefined): number | undefined =>
    of === undefined || by === undefined ? undefined : of / by;
  const most = (...values: (number | undefined)[]): number | undefined =>
    values.some((value) => value === undefined)
      ? undefined
      : Math.max(...values.filter((value) => value !== undefined));
  const [many, manySeconds] = [...figures.volumes].at(-1) ?? [];
  const manyFloor =
    many === undefined || s.downloadFloor === undefined || s.writeFloor === undefined
      ? undefined
      : s.downloadFloor + many * s.writeFloor;
  const memory = [...figures.peakMiB.values()];
  const verdict = (promise: string, seen: number | undefined, limit: number): Verdict => ({
    ...{ promise, limit },
    ...(seen !== undefined && { seen, holds: seen <= limit }),
  });
  return [
    verdict(
      "cold / the largest of download, decode and write",
      ratio(s.cold, most(s.downloadFloor, s.decodeFloor, s.writeFloor)),
      1.2,
    ),
    verdict("cold / naive", ratio(s.cold, s.naive), 1),
    verdict("cold / the other program's steps", ratio(s.cold, s.peer), 0.6),
    verdict(
      "warm / the larger of decode and write",
      ratio(s.warm, most(s.decodeFloor, s.writeFloor)),
      1.15,
    ),
    verdict("warm from the cache's zstd copy / naive", ratio(s.warmCopy, s.naive), 0.5),
    verdict("warm from zstd / naive", ratio(s.zstdWarm, s.naive), 0.5),
    verdict(
      `${String(many ?? "many")} volumes / one download and as many writes`,
      ratio(manySeconds, manyFloor),
      1.2,
    ),
    verdict(`downloads for ${String(many ?? "many")} volumes`, figures.downloads, 1),
    verdict("thin clone / a bare `lvcreate -s` in the same pool", ratio(s.clone, s.bareClone), 1.5),
    verdict("thin clone of an image 16 times as large", ratio(s.largeClone, s.clone), 1.2),
    verdict("preview of 100 volumes / of one", ratio(s.previewHundred, s.previewOne), 1.5),
    verdict("bytes written by an up that changes nothing", figures.bytesWrittenUnchanged, 0),
    verdict(
      "memory with the largest image / with the smallest",
      ratio(memory.at(-1), memory[0]),
      1.2,
    ),
    verdict("cold over a slow link / the link's own time", ratio(s.linkCold, s.link), 1.05),
  ];
}

/** The middle of the runs: one that the machine disturbed does not count. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  if (low === undefined || high === undefined) throw new Error("there is no median of nothing");
  return (low + high) / 2;
}

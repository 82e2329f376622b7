import type { Figures, Measured, Verdict } from "./targets.ts";

/** What a reader must know to judge the figures. */
export interface Circumstances {
  /** Such as `2026-11-21`. */
  date: string;
  commit: string;
  processor: string;
  cores: number;
  memoryGiB: number;
  kernel: string;
  /** How many processes wanted a core when it began, of one minute. */
  loadBefore: number;
  loadAfter: number;
  /** Name and version. */
  tools: readonly string[];
  runs: number;
  image: { dataMiB: number; virtualMiB: number; zlibMiB: number; zstdMiB: number };
}

const titles: Record<Measured, string> = {
  downloadFloor: "floor: download to nowhere, hashed",
  decodeFloor: "floor: decode to nowhere, zlib",
  zstdDecodeFloor: "floor: decode to nowhere, zstd",
  writeFloor: "floor: write of the data alone",
  naive: "naive: curl whole, then `qemu-img convert -O raw`",
  peer: "libvirt-volume-provisioner, step by step: download, hash, lvcreate, convert",
  cold: "Groundwork, nothing cached, zlib",
  warm: "Groundwork, cached, zlib",
  zstdCold: "Groundwork, nothing cached, zstd",
  warmCopy: "Groundwork, cached, from the cache's zstd copy",
  zstdWarm: "Groundwork, cached, zstd",
  previewOne: "`pulumi preview` of one volume",
  previewHundred: "`pulumi preview` of 100 volumes",
  link: "100 Mbit/s link: download to nowhere",
  linkCold: "100 Mbit/s link: Groundwork, nothing cached",
  bareClone: "guest with a thin pool, over SSH: a bare `lvcreate -s`",
  clone: "guest with a thin pool, over SSH: a volume of an image that the pool has",
  largeClone: "the same of an image with 16 times the data",
};

/** docs/benchmarks.md. */
export function renderReport(
  seen: Circumstances,
  figures: Figures & { growth: ReadonlyMap<number, { cold: number; warm: number }> },
  verdicts: readonly Verdict[],
): string {
  const { image } = seen;
  const rows = (Object.keys(titles) as Measured[]).flatMap((name) => {
    const seconds = figures.seconds[name];
    return seconds === undefined ? [] : [[titles[name], seconds.toFixed(2)]];
  });
  const disturbed =
    seen.loadBefore > 0.5
      ? [
          "",
          `**The machine was busy with other work: ${seen.loadBefore.toFixed(1)} processes wanted its ${String(seen.cores)} cores before the first measurement. These figures show that the bench works, not how fast anything is. Run it again on an idle machine.**`,
        ]
      : [];
  return [
    "# Benchmarks",
    "",
    "Written by `make bench ARGS=--write`; not edited. All figures are from one run on one machine, the methods taking turns, each the median of its runs; only their ratios mean anything elsewhere. `make bench` exits with 1 when a promise is broken.",
    ...disturbed,
    "",
    "## Promises",
    "",
    ...table(
      ["promise", "seen", "limit", ""],
      verdicts.map(({ promise, seen: value, limit, holds }) => [
        promise,
        value === undefined ? "not measured" : value.toFixed(limit === 0 ? 0 : 2),
        `≤ ${String(limit)}`,
        holds === undefined ? "" : holds ? "holds" : "**broken**",
      ]),
    ),
    "",
    "## Seconds",
    "",
    `Image: ${String(image.dataMiB)} MiB of data in a disk of ${String(image.virtualMiB)} MiB; ${image.zlibMiB.toFixed(0)} MiB as zlib, ${image.zstdMiB.toFixed(0)} MiB as zstd. ${String(seen.runs)} runs. Every method writes onto a freshly discarded volume, and what was dirty is flushed before it begins.`,
    "",
    ...table(["what", "seconds"], rows),
    "",
    "## How it grows",
    "",
    ...table(
      ["volumes of one image at once, nothing cached", "seconds"],
      [...figures.volumes].map(([count, seconds]) => [String(count), seconds.toFixed(2)]),
    ),
    "",
    ...table(
      ["data in the image", "cold, seconds", "warm, seconds", "peak memory of the provider"],
      [...figures.growth].map(([dataMiB, { cold, warm }]) => {
        const peak = figures.peakMiB.get(dataMiB);
        return [
          `${String(dataMiB)} MiB`,
          ...[cold.toFixed(2), warm.toFixed(2)],
          peak === undefined ? "" : `${peak.toFixed(0)} MiB`,
        ];
      }),
    ),
    "",
    "## Machine",
    "",
    ...table(
      ["", ""],
      [
        ["date", seen.date],
        ["commit", seen.commit],
        ["processor", `${seen.processor}, ${String(seen.cores)} cores`],
        ["memory", `${seen.memoryGiB.toFixed(0)} GiB`],
        ["kernel", seen.kernel],
        ["load before and after", `${seen.loadBefore.toFixed(1)}, ${seen.loadAfter.toFixed(1)}`],
        ["tools", seen.tools.join(", ")],
        ["volumes", "LVM on a loop device over a sparse file"],
      ],
    ),
    "",
  ].join("\n");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return ["Not measured."];
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)];
}

import type { ImageVolumeCode } from "./errors.ts";
import { formatBytes } from "./errors.ts";
import type { VolumeMarks } from "./layout.ts";

/** How a volume gets its space: `thin` from a thin pool as it is written, `thick` at once. */
export const provisionings = ["thin", "thick"] as const;
export type Provisioning = (typeof provisionings)[number];

/** A thin pool as LVM reports it. */
export interface ObservedPool {
  name: string;
  sizeBytes: number;
  /** Of the data space; a hundredth of a percent exactly. */
  dataPercent: number;
  metadataPercent: number;
  /** Whether it hands out zeroed blocks. */
  zeroes: boolean;
  /** LVM's word for what is wrong with it, such as `out_of_data`; empty when nothing is. */
  health: string;
}

/** What of a desired volume decides where its space comes from. */
export interface PlacementWish {
  volumeGroup: string;
  provisioning?: Provisioning;
  thinPool?: string;
}

export type Placement =
  | { kind: "thick" }
  | { kind: "thin"; pool: ObservedPool }
  | {
      kind: "refusal";
      code: ImageVolumeCode;
      reason: string;
      next: string;
      /** Whether it may be gone once the rest of the update is done. */
      mayPass?: boolean;
    };

/**
 * Decides where the space of a new volume comes from: the pool that is named; without a name the
 * group's only thin pool, unless `provisioning` says thick; without any pool the group itself.
 *
 * @param pools the thin pools of the group that this host can use
 */
export function placeVolume(wish: PlacementWish, pools: readonly ObservedPool[]): Placement {
  const { provisioning, thinPool, volumeGroup } = wish;
  if (provisioning === "thick" && thinPool !== undefined)
    return {
      ...{ kind: "refusal", code: "thin-pool-unfit" },
      reason: `it should be thick and in thin pool "${thinPool}"`,
      next: "Remove thinPool, or set provisioning to thin.",
    };
  if (provisioning === "thick") return { kind: "thick" };
  const wanted = provisioning === "thin" || thinPool !== undefined;
  const candidates = pools.filter(({ name }) => thinPool === undefined || name === thinPool);
  const [pool, another] = candidates;
  if (pool === undefined) {
    if (!wanted) return { kind: "thick" };
    const which = thinPool === undefined ? "no thin pool" : `no thin pool "${thinPool}"`;
    return {
      ...{ kind: "refusal", code: "thin-pool-missing" },
      reason: `volume group "${volumeGroup}" has ${which} that this host can use`,
      next: "Create one with `lvcreate --type thin-pool`, correct thinPool, or set provisioning to thick.",
    };
  }
  if (another !== undefined) {
    if (!wanted) return { kind: "thick" };
    const names = candidates.map(({ name }) => `"${name}"`).join(", ");
    return {
      ...{ kind: "refusal", code: "thin-pool-missing" },
      reason: `volume group "${volumeGroup}" has several thin pools (${names})`,
      next: "Name one as thinPool.",
    };
  }
  return refuseUnfit(pool, volumeGroup) ?? { kind: "thin", pool };
}

function refuseUnfit(pool: ObservedPool, volumeGroup: string): Placement | undefined {
  const id = `${volumeGroup}/${pool.name}`;
  if (pool.health !== "")
    return {
      ...{ kind: "refusal", code: "thin-pool-unfit", mayPass: true },
      reason: `thin pool "${id}" is not healthy (${pool.health})`,
      next: "See `lvs -o +lv_health_status` and lvmthin(7), repair it, then run the same command again.",
    };
  if (!pool.zeroes)
    return {
      ...{ kind: "refusal", code: "thin-pool-unfit" },
      reason: `thin pool "${id}" hands out blocks with what others left in them`,
      next: `Run \`lvchange --zero y ${id}\`, or choose another pool.`,
    };
  return undefined;
}

/** Bytes of a pool that no volume uses. */
export function freeBytes(pool: ObservedPool): number {
  return Math.floor(pool.sizeBytes * (1 - pool.dataPercent / 100));
}

/**
 * Why nothing should be added to a pool, if so. What an image needs exactly is known only where the
 * image is (see `thinLibrary`); here its file's length stands for it.
 *
 * @param imageBytes the length of an image that must be written into the pool; 0: none
 */
export function poolShortage(
  pool: ObservedPool,
  imageBytes: number,
): { code: ImageVolumeCode; reason: string; next: string } | undefined {
  const free = freeBytes(pool);
  if (pool.dataPercent >= 100 || free < imageBytes)
    return {
      code: "thin-pool-full",
      reason: `thin pool "${pool.name}" has ${formatBytes(free)} free${imageBytes === 0 ? "" : ` and the image's file alone has ${formatBytes(imageBytes)}`}`,
      next: "Extend the pool with lvextend, or remove volumes from it.",
    };
  if (pool.metadataPercent >= 98)
    return {
      code: "thin-metadata-full",
      reason: `the metadata of thin pool "${pool.name}" is ${pool.metadataPercent.toFixed(0)} % full`,
      next: "Extend it with `lvextend --poolmetadatasize`, or remove volumes from the pool.",
    };
  return undefined;
}

/** Whether many clones, which take blocks of metadata only, find room in a pool before another look. */
export function isRoomy({ dataPercent, metadataPercent }: ObservedPool): boolean {
  return dataPercent < 90 && metadataPercent < 50;
}

/**
 * The name of the volume with an image's pristine content, of which volumes in the pool are clones.
 * Its tags tell the whole digest.
 */
export function goldenName(pool: string, digest: string): string {
  return `${pool}-golden-${digest.slice(0, 24)}`;
}

/** Whether these are the marks of a golden volume that is complete. */
export function isGolden(marks: VolumeMarks, digest: string): boolean {
  return marks.role === "golden" && marks.state === "populated" && marks.digest === digest;
}

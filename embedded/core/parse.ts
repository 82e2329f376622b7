import type { Activation } from "../../providers/volume-group/core/names.ts";
import type { VolumeGroupObserved } from "./observed.ts";
import type { LoopDevice } from "./types.ts";

/** Columns of {@link parseSegments}, for `pvs --segments -o`. */
export const segmentColumns =
  "pv_name,vg_name,vg_tags,pe_start,vg_extent_size,pvseg_start,pvseg_size,segtype,lv_name";

/** A run of extents of a physical volume. */
export interface Segment {
  physicalVolume: string;
  /** Empty for a physical volume of no group. */
  group: string;
  tags: string[];
  /** Where it begins on the physical volume, in bytes. */
  offset: number;
  bytes: number;
  kind: string;
  /** The volume that it belongs to; none when it is free. */
  volume?: string;
}

/** Reads `pvs --noheadings --nosuffix --units b --separator '|' --segments -o <segmentColumns>`. */
export function parseSegments(printed: string): Segment[] {
  return printed
    .split("\n")
    .filter((line) => line.includes("|"))
    .map((line) => {
      const [device, group, tags, begin, extent, first, count, kind, volume] = line
        .trim()
        .split("|");
      return {
        physicalVolume: device ?? "",
        group: group ?? "",
        tags: (tags ?? "").split(",").filter((tag) => tag !== ""),
        offset: Number(begin) + Number(first) * Number(extent),
        bytes: Number(count) * Number(extent),
        kind: kind ?? "",
        ...(volume !== undefined && volume !== "" && { volume }),
      };
    });
}

interface LoopRow {
  name: string;
  offset: number | string;
  sizelimit: number | string;
  "back-file": string | null;
}

/** Reads `losetup --list --json -O NAME,OFFSET,SIZELIMIT,BACK-FILE`; empty output means none. */
export function parseLoops(printed: string): LoopDevice[] {
  if (printed.trim() === "") return [];
  const { loopdevices } = JSON.parse(printed) as { loopdevices: LoopRow[] };
  return loopdevices.map((row) => {
    const file = row["back-file"] ?? "";
    const deleted = file.endsWith(" (deleted)");
    return {
      name: row.name,
      file: deleted ? file.slice(0, -" (deleted)".length) : file,
      deleted,
      offset: Number(row.offset),
      bytes: Number(row.sizelimit),
    };
  });
}

export function groupOf(segments: readonly Segment[]): VolumeGroupObserved["group"] {
  const [first] = segments;
  if (first === undefined) return undefined;
  return {
    physicalVolumes: [...new Set(segments.map((segment) => segment.physicalVolume))],
    tags: first.tags,
  };
}

/** The groups on these devices, each once. */
export function groupsOn(
  segments: readonly Segment[],
  loops: readonly LoopDevice[],
): VolumeGroupObserved["ownGroups"] {
  return loops.flatMap((loop) => {
    const found = segments.find((one) => one.physicalVolume === loop.name && one.group !== "");
    return found === undefined ? [] : [{ name: found.group, loop: loop.name }];
  });
}

/** Bytes of a device that a group can give to volumes; undefined when it does not lie there. */
export function bytesOn(segments: readonly Segment[], device: string): number | undefined {
  const there = segments.filter((segment) => segment.physicalVolume === device);
  if (there.length === 0) return undefined;
  return there.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Columns of {@link parseVolumes}, for `lvs -o`. */
export const volumeColumns = "lv_name,lv_layout,lv_skip_activation";

/**
 * Reads `lvs --noheadings --separator '|' -o <volumeColumns>`, which leaves out what is inside of others:
 * the volumes that have a device once their group is activated, and so neither pools nor those that
 * activation skips.
 */
export function parseVolumes(printed: string): string[] {
  return printed.split("\n").flatMap((line) => {
    const [volume = "", layout = "", skip = ""] = line.trim().split("|");
    return volume === "" || layout.split(",").includes("pool") || skip !== "" ? [] : [volume];
  });
}

/**
 * Names the volumes whose device is missing, or, where volumes are loop devices, is one over something else.
 * @param volumes all that are to have one.
 * @param devices where /dev/<group>/<volume> leads, by volume; nothing for one that is no block device.
 */
export function inactiveVolumes(
  activation: Activation,
  volumes: readonly string[],
  segments: readonly Segment[],
  loops: readonly LoopDevice[],
  devices: ReadonlyMap<string, string>,
): string[] {
  const liesAt = (device: string, { offset, bytes }: Segment): boolean =>
    loops.some((loop) => loop.name === device && loop.offset === offset && loop.bytes === bytes);
  const wrong = volumes.filter((volume) => {
    const device = devices.get(volume);
    if (device === undefined || activation === "device-mapper") return device === undefined;
    return segments.some((segment) => segment.volume === volume && !liesAt(device, segment));
  });
  return [...new Set(wrong)].sort();
}

/**
 * Whether a file of /etc/lvm/backup or archive is about a volume group that we made: one with our
 * tag, on a loop device.
 */
export function isOurRecord(text: string, tag: string): boolean {
  const tags = /^\ttags = \[(.*)\]$/m.exec(text)?.[1] ?? ""; // one tab: of the group, not of a volume
  return tags.includes(`"${tag}"`) && /^\s*device = "\/dev\/loop\d+"/m.test(text);
}

/** Reads `ss -Hltnp` about one port: `minio (pid 123)`. */
export function parsePortHolder(printed: string): string | undefined {
  const match = /users:\(\("([^"]+)",pid=(\d+)/.exec(printed);
  return match === null ? undefined : `${match[1] ?? ""} (pid ${match[2] ?? ""})`;
}

export function isLoopback(endpoint: string): boolean {
  const { hostname } = new URL(endpoint);
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

export function portOf(endpoint: string): number {
  const url = new URL(endpoint);
  return url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
}

import type { Wipe } from "../../image-volume/core/arguments.ts";
import type { ObservedVolume } from "../../image-volume/core/parsers.ts";
import {
  type Consistency,
  parseSnapshotTags,
  type SnapshotMarks,
} from "../../image-volume/core/snapshot-tags.ts";

/** A machine as its disks: the volume that it boots from first. */
export interface MachineVolumes {
  machine: string;
  /** `<project>/<stack>`. */
  owner: string;
  volumes: readonly MachineVolume[];
}

export interface MachineVolume {
  volumeGroup: string;
  volumeName: string;
  /** What becomes of content that goes. */
  wipe: Wipe;
}

/** One volume of a snapshot. */
export interface SnapshotPart {
  volumeGroup: string;
  /** Its own name, not that of the volume whose content it has. */
  volumeName: string;
  volume: ObservedVolume;
  marks: SnapshotMarks;
}

/** The content of all of a machine's volumes at one time. */
export interface Snapshot {
  machine: string;
  name: string;
  takenAtSeconds: number;
  description: string;
  /** Unknown for one whose making was interrupted. */
  consistency?: Consistency;
  /** As the guest sees its disks, all together. */
  sizeBytes: number;
  /** Whether all of it is there. */
  whole: boolean;
  parts: readonly SnapshotPart[];
}

/** The snapshots of an owner's machines: by machine, the oldest first. */
export function listSnapshots(
  volumes: ReadonlyMap<string, ObservedVolume>,
  owner: string,
  machine?: string,
): Snapshot[] {
  const byKey = new Map<string, SnapshotPart[]>();
  for (const [id, volume] of volumes) {
    const marks = parseSnapshotTags(volume.tags);
    if (marks === undefined || volume.marks.owner !== owner) continue;
    if (machine !== undefined && marks.machine !== machine) continue;
    const [volumeGroup = "", volumeName = ""] = id.split("/");
    const key = `${marks.machine}/${marks.name}`;
    byKey.set(key, [...(byKey.get(key) ?? []), { volumeGroup, volumeName, volume, marks }]);
  }
  return [...byKey.values()]
    .flatMap(buildSnapshot)
    .sort(
      (one, other) =>
        compare(one.machine, other.machine) || one.takenAtSeconds - other.takenAtSeconds,
    );
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function buildSnapshot(parts: SnapshotPart[]): Snapshot[] {
  const [first] = parts;
  if (first === undefined) return [];
  const { machine, name, takenAtSeconds, description, consistency } = first.marks;
  return [
    {
      ...{ machine, name, takenAtSeconds, description, parts },
      ...(consistency && { consistency }),
      sizeBytes: parts.reduce((sum, { volume }) => sum + volume.sizeBytes, 0),
      whole:
        parts.length === first.marks.parts &&
        parts.every(
          ({ marks, volume }) =>
            marks.takenAtSeconds === takenAtSeconds &&
            marks.consistency !== undefined &&
            volume.marks.state !== undefined,
        ),
    },
  ];
}

/** Names a snapshot so that another one of the same name is told from it. */
export function snapshotReference(snapshot: Pick<Snapshot, "name" | "takenAtSeconds">): string {
  return `${snapshot.name}:${String(snapshot.takenAtSeconds)}`;
}

import type { Snapshot } from "../../providers/volume-snapshot/core/snapshots.ts";
import { formatAge, formatBytes, formatTable } from "./units.ts";

/** A snapshot as `--json` tells it. */
export interface SnapshotRow {
  machine: string;
  name: string;
  /** When it was taken, in ISO 8601. */
  taken: string;
  ageSeconds: number;
  sizeBytes: number;
  /** `off`, `frozen`, `paused` or `live`; null where its making was interrupted. */
  consistency: string | null;
  /** `whole`, or `interrupted`: it can only be deleted or taken anew. */
  state: "whole" | "interrupted";
  description: string;
  volumes: string[];
}

export function buildSnapshotRow(snapshot: Snapshot, nowSeconds: number): SnapshotRow {
  const { machine, name, takenAtSeconds, sizeBytes, consistency, whole, description } = snapshot;
  return {
    ...{ machine, name, sizeBytes, description },
    taken: new Date(takenAtSeconds * 1000).toISOString(),
    ageSeconds: Math.max(0, nowSeconds - takenAtSeconds),
    consistency: consistency ?? null,
    state: whole ? "whole" : "interrupted",
    volumes: snapshot.parts.map(({ volumeGroup, volumeName }) => `${volumeGroup}/${volumeName}`),
  };
}

export function describeSnapshots(rows: readonly SnapshotRow[]): string[] {
  if (rows.length === 0) return ["There are no snapshots."];
  return formatTable([
    ["MACHINE", "SNAPSHOT", "AGE", "SIZE", "MACHINE WAS", "STATE", "DESCRIPTION"],
    ...rows.map((row) => [
      ...[row.machine, row.name, formatAge(row.ageSeconds), formatBytes(row.sizeBytes)],
      ...[row.consistency ?? "-", row.state, row.description],
    ]),
  ]);
}

import type { EtcdSnapshot } from "../../providers/k3s-cluster/core/restore.ts";
import { GroundworkError } from "../../providers/errors.ts";
import { formatBytes, formatTable } from "./units.ts";

/** A snapshot and the servers that can be restored from it. */
export interface SnapshotRow extends EtcdSnapshot {
  /** On whose disk it is; for one in the object store, all that reach it. */
  servers: string[];
}

/** One row for each snapshot and place, the oldest first. */
export function buildRows(
  found: readonly { server: string; snapshots: readonly EtcdSnapshot[] }[],
): SnapshotRow[] {
  const rows = new Map<string, SnapshotRow>();
  for (const { server, snapshots } of found)
    for (const snapshot of snapshots) {
      const key = `${snapshot.place} ${snapshot.name}`;
      const row = rows.get(key);
      if (row === undefined) rows.set(key, { ...snapshot, servers: [server] });
      else row.servers.push(server);
    }
  return [...rows.values()].sort((a, b) => a.takenSeconds - b.takenSeconds);
}

/**
 * The row to restore from; one on a disk where it is in both places, for nothing has to be fetched.
 *
 * @throws GroundworkError `unknown-snapshot`
 */
export function chooseRow(
  rows: readonly SnapshotRow[],
  name: string,
  server: string | undefined,
): { row: SnapshotRow; on: string } {
  const matching = rows
    .filter((row) => row.name === name)
    .sort((a, b) => a.place.localeCompare(b.place));
  for (const row of matching) {
    const on = row.servers.find((each) => server === undefined || each === server);
    if (on !== undefined) return { row, on };
  }
  throw new GroundworkError({
    code: "unknown-snapshot",
    message: `There is no snapshot "${name}"${server === undefined ? "" : ` that ${server} can be restored from`}.`,
    next: 'See `make etcd ARGS="list"`.',
  });
}

export function describeRows(rows: readonly SnapshotRow[]): string[] {
  if (rows.length === 0) return ["There are no snapshots of etcd."];
  return formatTable([
    ["TAKEN", "SIZE", "SNAPSHOT", "WHERE"],
    ...rows.map(({ name, place, sizeBytes, takenSeconds, servers }) => [
      new Date(takenSeconds * 1000).toISOString().replace(".000Z", "Z"),
      ...[formatBytes(sizeBytes), name],
      place === "disk" ? servers.join(", ") : "object store",
    ]),
  ]);
}

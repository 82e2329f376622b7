import type { ObservedPool } from "../../providers/image-volume/core/thin.ts";
import { formatBytes, formatTable } from "./units.ts";
import type { DomainUsage, GroupUsage } from "./usage-plan.ts";

/** What one hypervisor is used for. */
export interface HostUsage {
  memory: { totalBytes: number; availableBytes: number };
  machines: DomainUsage[];
  volumeGroups: (GroupUsage & {
    /** Of this stack: volumes, their snapshots included. */
    volumes: number;
    volumeBytes: number;
    pools: Pick<ObservedPool, "name" | "sizeBytes" | "dataPercent" | "metadataPercent">[];
  })[];
  cache: { folder: string; bytes: number; files: number; freeBytes: number };
}

const rate = (bytes: number): string => `${formatBytes(bytes)}/s`;

export function describeUsage(host: HostUsage): string[] {
  const { memory, machines, volumeGroups, cache } = host;
  const used = memory.totalBytes - memory.availableBytes;
  return [
    `memory: ${formatBytes(used)} of ${formatBytes(memory.totalBytes)} used`,
    ...volumeGroups.flatMap((group) => [
      `volume group ${group.name}: ${formatBytes(group.sizeBytes - group.freeBytes)} of ${formatBytes(group.sizeBytes)} used, ${formatBytes(group.volumeBytes)} by ${String(group.volumes)} volumes of this stack`,
      ...group.pools.map(
        (pool) =>
          `thin pool ${group.name}/${pool.name}: ${pool.dataPercent.toFixed(1)} % of ${formatBytes(pool.sizeBytes)} used, ${pool.metadataPercent.toFixed(1)} % of its metadata`,
      ),
    ]),
    `image cache ${cache.folder}: ${formatBytes(cache.bytes)} in ${String(cache.files)} files, ${formatBytes(cache.freeBytes)} free`,
    ...(machines.length === 0 ? [] : describeMachines(machines)),
  ];
}

function describeMachines(machines: readonly DomainUsage[]): string[] {
  return formatTable([
    ["MACHINE", "STATE", "CPU", "MEMORY", "OF HOST'S", "READ", "WRITTEN", "IN", "OUT"],
    ...machines.map((each) => [
      ...[each.machine, each.state],
      `${each.cpuPercent.toFixed(1)} % of ${String(100 * each.vcpus)}`,
      each.usableBytes === undefined
        ? formatBytes(each.memoryBytes)
        : `${formatBytes(Math.max(0, each.memoryBytes - each.usableBytes))} of ${formatBytes(each.memoryBytes)}`,
      formatBytes(each.residentBytes),
      rate(each.diskReadBytesPerSecond),
      rate(each.diskWrittenBytesPerSecond),
      rate(each.networkInBytesPerSecond),
      rate(each.networkOutBytesPerSecond),
    ]),
  ]);
}

import { GroundworkError } from "../../errors.ts";

/** How big a host is; `HostFacts` has all of it. */
export interface HostCapacity {
  cpus: number;
  memoryMiB: number;
  memoryAvailableMiB: number;
}

export interface MachineSize {
  name: string;
  vcpus: number;
  memoryMiB: number;
}

/**
 * Refuses machines that their host cannot hold: one with more vCPUs than it has CPUs, or all of them
 * together with more memory than was free for them. All problems are told at once.
 *
 * @param hypervisor the hypervisor's name, for the message.
 * @throws GroundworkError `machine-larger-than-host`.
 */
export function refuseOversizedMachines(
  hypervisor: string,
  capacity: HostCapacity,
  machines: readonly MachineSize[],
): void {
  const problems: string[] = [];
  for (const { name, vcpus, memoryMiB } of machines) {
    if (vcpus > capacity.cpus)
      problems.push(
        `machine "${name}" asks for ${String(vcpus)} vCPUs and the host has ${String(capacity.cpus)} CPUs`,
      );
    if (memoryMiB > capacity.memoryMiB)
      problems.push(
        `machine "${name}" asks for ${String(memoryMiB)} MiB of memory and the host has ${String(capacity.memoryMiB)} MiB`,
      );
  }
  const total = machines.reduce((sum, { memoryMiB }) => sum + memoryMiB, 0);
  if (problems.length === 0 && total > capacity.memoryAvailableMiB)
    problems.push(
      `${machines.map(({ name }) => `"${name}"`).join(", ")} ask for ${String(total)} MiB of memory together and ${String(capacity.memoryAvailableMiB)} MiB of ${String(capacity.memoryMiB)} MiB were free for them`,
    );
  if (problems.length === 0) return;
  throw new GroundworkError({
    code: "machine-larger-than-host",
    message: `The machines do not fit on hypervisor "${hypervisor}": ${problems.join("; ")}.`,
    next: "Lower vcpus or memoryMiB, or move a machine to another hypervisor; if the host has grown, run `pulumi refresh` first.",
  });
}

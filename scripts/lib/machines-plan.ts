import type { Config } from "../../config.ts";
import { GroundworkError } from "../../providers/errors.ts";
import type { MachineVolumes } from "../../providers/volume-snapshot/core/snapshots.ts";

/** A machine of a stack as programs beside Pulumi need it. */
export interface LocatedMachine extends MachineVolumes {
  /** The libvirt URI of its hypervisor. */
  uri: string;
  shutdownTimeoutSeconds: number;
}

/**
 * Machines of a stack with their hypervisors and volumes, in their order.
 * @param fallbackUri the hypervisor of those that name none
 */
export function locateMachines(
  { machines, hypervisors }: Pick<Config, "machines" | "hypervisors">,
  owner: string,
  fallbackUri: string,
): LocatedMachine[] {
  return machines.map((machine) => {
    const { name, rootVolume, volumes } = machine;
    const hypervisor = hypervisors.find((each) => each.name === machine.hypervisor);
    const group = hypervisor?.volumeGroup ?? "";
    const all = [{ ...rootVolume, name: "root" }, ...volumes];
    return {
      ...{ machine: name, owner, uri: hypervisor?.uri ?? fallbackUri },
      shutdownTimeoutSeconds: rootVolume.shutdownTimeoutSeconds,
      volumes: all.map((volume) => ({
        volumeGroup: volume.volumeGroup ?? group,
        volumeName: `${name}-${volume.name}`,
        wipe: volume.wipe,
      })),
    };
  });
}

/**
 * The machine of that name.
 * @throws GroundworkError `unknown-machine`
 */
export function requireMachine<Machine extends { machine: string }>(
  machines: readonly Machine[],
  name: string,
): Machine {
  const found = machines.find(({ machine }) => machine === name);
  if (found !== undefined) return found;
  const names = machines.map(({ machine }) => machine).join(", ");
  throw new GroundworkError({
    code: "unknown-machine",
    message: `There is no machine "${name}" in groundwork:machines.`,
    next: names === "" ? "Write one into the stack file." : `Choose one of: ${names}.`,
  });
}

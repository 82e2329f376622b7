import { type Context, project } from "./context.ts";
import { type LocatedMachine, locateMachines } from "./machines-plan.ts";

/** The machines of a stack, each with its hypervisor and volumes. */
export function machinesOf({ config, stack, environment }: Context): LocatedMachine[] {
  const fallback = environment["LIBVIRT_DEFAULT_URI"] ?? "qemu:///system";
  return locateMachines(config, `${project}/${stack}`, fallback);
}

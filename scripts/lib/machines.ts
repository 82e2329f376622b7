import { machinesOf as withNodes } from "../../config.ts";
import { type Context, project } from "./context.ts";
import { type LocatedMachine, locateMachines } from "./machines-plan.ts";

/** The machines of a stack, each with its hypervisor and volumes; nodes of clusters are not among them. */
export function machinesOf(context: Context): LocatedMachine[] {
  return locate(context, context.config);
}

/** The same with the nodes of clusters, behind the others. */
export function allMachinesOf(context: Context): LocatedMachine[] {
  return locate(context, { ...context.config, machines: withNodes(context.config) });
}

function locate({ stack, environment }: Context, config: Context["config"]): LocatedMachine[] {
  const fallback = environment["LIBVIRT_DEFAULT_URI"] ?? "qemu:///system";
  return locateMachines(config, ownerOf({ stack }), fallback);
}

/** What a stack's volumes are tagged with. */
export function ownerOf({ stack }: Pick<Context, "stack">): string {
  return `${project}/${stack}`;
}

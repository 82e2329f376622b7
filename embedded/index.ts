/**
 * A hypervisor, a volume group and an object store for a machine that lacks them. See
 * `ensureEmbedded`: each is used where it is there, and started where it is not.
 */
import type { EmbeddedFacts, EmbeddedOptions } from "./core/types.ts";
import { readFacts } from "./effects/facts.ts";
import { withRealHome } from "./effects/observe.ts";
import { holdsHypervisor } from "./effects/owner.ts";

export { planEmbedded } from "./core/plan.ts";
export type { EmbeddedFacts, EmbeddedOptions } from "./core/types.ts";
export { ensureEmbedded } from "./effects/ensure.ts";
export { stopEmbedded } from "./effects/stop.ts";

/**
 * What `ensureEmbedded` found or started, from its own record; undefined when it never succeeded or
 * everything was stopped. Neither looks whether it still runs nor starts anything.
 */
export function readEmbedded(options: EmbeddedOptions): Promise<EmbeddedFacts | undefined> {
  return Promise.resolve(readFacts(withRealHome(options)));
}

/**
 * Whether the hypervisor of that record may be asked: after a restart of the machine another checkout
 * may have taken its name, and its libvirt answers there, with machines of the same names.
 */
export function isOwnHypervisor(options: EmbeddedOptions, { hypervisor }: EmbeddedFacts): boolean {
  return holdsHypervisor(withRealHome(options).home, hypervisor);
}

import type { Config } from "../../config.ts";

/** What is known before anything is removed. */
export interface DownFacts {
  config: Config;
  /** Whether the backend has a state of the stack. */
  hasState: boolean;
  /** Whether another stack of this checkout uses the embedded parts. */
  embeddedIsShared: boolean;
  /** The embedded parts as they were last written down; undefined when there are none. */
  embedded?:
    { hypervisor: "system" | "embedded"; volumeGroup: "existing" | "embedded" } | undefined;
  /** Whether the hypervisor of the embedded section answers. */
  hypervisorAnswers: boolean;
}

export interface DownPlan {
  /**
   * `destroy`: ask Pulumi to remove each resource. `forget`: everything goes with the embedded
   * parts at once, so the state alone is removed. `nothing`: there is no state.
   */
  resources: "destroy" | "forget" | "nothing";
  /** The embedded parts have to be started before resources can be destroyed. */
  startEmbedded: boolean;
  /** Everything that the stack made lies on embedded parts that are removed with it. */
  disposable: boolean;
  stopEmbedded: boolean;
}

/** Decides how a stack is taken down. */
export function planDown(facts: DownFacts): DownPlan {
  const { config, hasState, embedded, hypervisorAnswers } = facts;
  const stopEmbedded = config.embedded !== undefined && !facts.embeddedIsShared;
  const disposable =
    stopEmbedded &&
    embedded?.hypervisor === "embedded" &&
    embedded.volumeGroup === "embedded" &&
    config.hypervisors.every(({ uri }) => uri === undefined);
  const dead = config.embedded !== undefined && !hypervisorAnswers;
  if (!hasState) return { resources: "nothing", startEmbedded: false, disposable, stopEmbedded };
  if (dead && disposable)
    return { resources: "forget", startEmbedded: false, disposable, stopEmbedded };
  return { resources: "destroy", startEmbedded: dead, disposable, stopEmbedded };
}

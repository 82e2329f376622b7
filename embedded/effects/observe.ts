import { realpathSync, existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Machine, Observed } from "../core/observed.ts";
import { allTools } from "../core/plan.ts";
import type { EmbeddedOptions } from "../core/types.ts";
import { toolExists } from "./command.ts";
import { readFacts } from "./facts.ts";
import { observeHypervisor } from "./hypervisor.ts";
import { observeObjectStore } from "./object-store.ts";
import { observeVolumeGroup } from "./observe-volume-group.ts";

/** One spelling of the home, because marks and the owner of a name compare it. */
export function withRealHome(options: EmbeddedOptions): EmbeddedOptions {
  const home = resolve(options.home);
  return { ...options, home: existsSync(home) ? realpathSync(home) : home };
}

export function observeMachine(options: EmbeddedOptions): Machine {
  const facts = readFacts(options);
  const program = (tool: string): string =>
    tool === "minio" ? (options.minioBinary ?? tool) : tool;
  return {
    missingTools: allTools.filter((tool) => !toolExists(program(tool))),
    ...(facts !== undefined && { facts }),
  };
}

/** Looks at everything at once; changes nothing. */
export async function observe(options: EmbeddedOptions): Promise<Observed> {
  const machine = observeMachine(options);
  const [hypervisor, volumeGroup, objectStore] = await Promise.all([
    observeHypervisor(options, machine.facts),
    observeVolumeGroup(options),
    observeObjectStore(options),
  ]);
  return { machine, hypervisor, volumeGroup, objectStore };
}

import { existsSync, rmSync } from "node:fs";
import { layoutOf } from "../core/layout.ts";
import type { Observed } from "../core/observed.ts";
import { planStop, type StopStep } from "../core/plan-stop.ts";
import type { EmbeddedOptions, Process } from "../core/types.ts";
import { requireRoot } from "./ensure.ts";
import {
  destroyDomains,
  removeNamespace,
  removeRunFolders,
  removeWhenEmpty,
} from "./hypervisor.ts";
import { withLock } from "./lock.ts";
import { observe, withRealHome } from "./observe.ts";
import { readNamesOf } from "./owner.ts";
import { endProcesses, findProcesses } from "./processes.ts";
import { detachLoops, removeGroupTraces, removeVolumeGroup } from "./volume-group.ts";

/**
 * Ends everything that `ensureEmbedded` started and deletes its data: guests, daemons, namespace,
 * volumes, stored objects. What was there before us is left alone. May be repeated.
 *
 * @throws GroundworkError `not-root`; `volumes-in-use` or `process-will-not-end`, after which it can be run again.
 */
export async function stopEmbedded(
  given: EmbeddedOptions,
  report: (line: string) => void,
): Promise<void> {
  requireRoot();
  const options = withRealHome(given);
  const homeWasThere = existsSync(options.home);
  await withLock(options.home, report, async () => {
    // The name may have been another when it was started.
    const earlier = readNamesOf(options.home).filter((name) => name !== options.name);
    for (const name of [...earlier, options.name]) await stopNamed({ ...options, name }, report);
  });
  if (!homeWasThere) removeWhenEmpty(options.home); // made for the lock
}

async function stopNamed(options: EmbeddedOptions, report: (line: string) => void): Promise<void> {
  const observed = await observe(options);
  for (const step of planStop(options, observed, existsSync(layoutOf(options).root))) {
    const line = describeStop(options, step);
    if (line !== undefined) report(line);
    await runStop(options, observed, step);
  }
}

function describeStop(options: EmbeddedOptions, step: StopStep): string | undefined {
  switch (step.do) {
    case "destroyDomains":
      return "hypervisor: ending its guests";
    case "endProcesses":
      return `${step.what}: ending ${String(step.processes.length)} processes`;
    case "removeNamespace":
      return `hypervisor: removing network namespace "${options.name}"`;
    case "removeVolumeGroup":
      return `volume group: removing "${step.group.name}" with its volumes`;
    case "removeFolders":
      return `removing ${layoutOf(options).root}`;
    case "detachLoops":
    case "removeGroupTraces":
      return undefined;
  }
}

async function runStop(
  options: EmbeddedOptions,
  observed: Observed,
  step: StopStep,
): Promise<void> {
  switch (step.do) {
    case "destroyDomains":
      return destroyDomains(options);
    case "endProcesses":
      return endAll(options, observed, step.processes);
    case "removeNamespace":
      return removeNamespace(options);
    case "removeVolumeGroup":
      return removeVolumeGroup(step.group, observed.volumeGroup);
    case "detachLoops":
      return detachLoops(step.loops);
    case "removeGroupTraces":
      removeGroupTraces(step.group);
      return;
    case "removeFolders":
      if (observed.hypervisor.owned) await removeRunFolders(options);
      rmSync(layoutOf(options).root, { recursive: true, force: true });
      return;
  }
}

/** Ends processes, and those that they started while they were being ended. */
async function endAll(
  options: EmbeddedOptions,
  { hypervisor }: Observed,
  processes: readonly Process[],
): Promise<void> {
  const { namespace, owned } = hypervisor;
  const inode = owned && namespace.state === "present" ? namespace.inode : undefined;
  for (let left = processes; left.length > 0; left = findProcesses(options, inode))
    await endProcesses(left);
}

import type { Observed } from "./observed.ts";
import { wholeLoop } from "./plan-volume-group.ts";
import type { LoopDevice, Process } from "./types.ts";

/** One thing to undo. All that is not ours is left out by construction. */
export type StopStep =
  | { do: "destroyDomains" }
  | { do: "endProcesses"; what: string; processes: Process[] }
  | { do: "removeNamespace" }
  | { do: "removeVolumeGroup" }
  | { do: "detachLoops"; loops: LoopDevice[] }
  | { do: "removeGroupTraces" }
  | { do: "removeFolders" };

/** Decides how to end everything that we started; works from what is there, not from what was recorded. */
export function planStop(observed: Observed, foldersExist: boolean): StopStep[] {
  const { hypervisor, volumeGroup, objectStore } = observed;
  const steps: StopStep[] = [];
  if (hypervisor.activeNetworks !== undefined) steps.push({ do: "destroyDomains" });
  if (hypervisor.processes.length > 0)
    steps.push({ do: "endProcesses", what: "hypervisor", processes: hypervisor.processes });
  if (hypervisor.owned && hypervisor.namespace.state !== "absent")
    steps.push({ do: "removeNamespace" });

  const whole = wholeLoop(volumeGroup);
  if (whole !== undefined && volumeGroup.group?.physicalVolumes.includes(whole.name) === true)
    steps.push({ do: "removeVolumeGroup" });
  if (volumeGroup.loops.length > 0) steps.push({ do: "detachLoops", loops: volumeGroup.loops });
  if (volumeGroup.fileBytes !== undefined || volumeGroup.loops.length > 0)
    steps.push({ do: "removeGroupTraces" });

  if (objectStore.processes.length > 0)
    steps.push({ do: "endProcesses", what: "object store", processes: objectStore.processes });
  if (foldersExist || hypervisor.owned) steps.push({ do: "removeFolders" });
  return steps;
}

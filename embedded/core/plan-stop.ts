import type { Observed } from "./observed.ts";
import type { EmbeddedOptions, LoopDevice, Process } from "./types.ts";

/** One thing to undo. All that is not ours is left out by construction. */
export type StopStep =
  | { do: "destroyDomains" }
  | { do: "endProcesses"; what: string; processes: Process[] }
  | { do: "removeNamespace" }
  | { do: "removeVolumeGroup"; group: { name: string; loop: string } }
  | { do: "detachLoops"; loops: LoopDevice[] }
  | { do: "removeGroupTraces"; group: string }
  | { do: "removeFolders" };

/** Decides how to end everything that we started; works from what is there, not from what was recorded. */
export function planStop(
  { volumeGroup: name }: Pick<EmbeddedOptions, "volumeGroup">,
  observed: Observed,
  foldersExist: boolean,
): StopStep[] {
  const { hypervisor, volumeGroup, objectStore } = observed;
  const steps: StopStep[] = [];
  if (hypervisor.activeNetworks !== undefined) steps.push({ do: "destroyDomains" });
  if (hypervisor.processes.length > 0)
    steps.push({ do: "endProcesses", what: "hypervisor", processes: hypervisor.processes });
  if (hypervisor.owned && hypervisor.namespace.state !== "absent")
    steps.push({ do: "removeNamespace" });

  // By where they lie: the name may have been another, and the file removed while it was attached.
  const { group, loops, ownGroups } = volumeGroup;
  for (const own of ownGroups) steps.push({ do: "removeVolumeGroup", group: own });
  if (loops.length > 0) steps.push({ do: "detachLoops", loops });
  // Links and records are found by the group's name, which may be somebody else's by now.
  const foreign =
    group !== undefined && !loops.some((loop) => group.physicalVolumes.includes(loop.name));
  const names = new Set(ownGroups.map((own) => own.name));
  if (!foreign && (volumeGroup.fileBytes !== undefined || loops.length > 0)) names.add(name);
  for (const each of names) steps.push({ do: "removeGroupTraces", group: each });

  if (objectStore.processes.length > 0)
    steps.push({ do: "endProcesses", what: "object store", processes: objectStore.processes });
  if (foldersExist || hypervisor.owned) steps.push({ do: "removeFolders" });
  return steps;
}

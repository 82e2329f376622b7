import type { Observed } from "./observed.ts";
import { gib } from "./plan-volume-group.ts";
import type { EmbeddedFacts, EmbeddedOptions, EmbeddedStep } from "./types.ts";

/** What the user is told before a step; nothing for those that belong to the one before. */
export function describeStep(
  options: EmbeddedOptions,
  observed: Observed,
  step: EmbeddedStep,
): string | undefined {
  const { volumeGroup } = options;
  switch (step.do) {
    case "endProcesses":
      return `${partName[step.part]}: ending ${String(step.processes.length)} processes, because ${step.why}`;
    case "makeNamespace":
      return `hypervisor: no qemu:///system answers here; starting libvirtd in network namespace "${options.name}"`;
    case "adoptNamespace":
      return `hypervisor: giving network namespace "${options.name}" its name back`;
    case "startDaemon":
      return `hypervisor: starting ${step.daemon}`;
    case "startNetwork":
      return "hypervisor: starting libvirt's default network";
    case "removeVolumeGroup":
      return `volume group: removing "${step.group.name}", whose file was removed`;
    case "detachLoops":
      return "volume group: detaching loop devices whose file was removed";
    case "makeVolumeFile": {
      const free = observed.volumeGroup.freeBytes;
      const room =
        free < step.bytes ? `; only ${gib(free)} are free on the disk, so it cannot fill up` : "";
      return `volume group: making "${volumeGroup}" in a sparse file of ${gib(step.bytes)}${room}`;
    }
    case "growVolumeFile":
      return `volume group: growing "${volumeGroup}" to ${gib(step.bytes)}`;
    case "activateVolumes":
      return `volume group: activating ${observed.volumeGroup.inactiveVolumes.join(", ")}`;
    case "startObjectStore":
      return `object store: starting MinIO at ${options.objectStore.endpoint}`;
    case "makeBucket":
      return `object store: making bucket "${options.objectStore.bucket}"`;
    case "prepareLibvirt":
    case "awaitLibvirt":
    case "attachVolumeFile":
    case "makeVolumeGroup":
    case "makeCredentials":
      return undefined;
  }
}

const partName = {
  hypervisor: "hypervisor",
  volumeGroup: "volume group",
  objectStore: "object store",
} as const;

/** One line per part: what is in use. */
export function describeUse(options: EmbeddedOptions, facts: EmbeddedFacts): string[] {
  const { hypervisor, volumeGroup, objectStore } = facts;
  return [
    hypervisor.kind === "system"
      ? `hypervisor: this machine's own, ${hypervisor.uri}`
      : `hypervisor: embedded, ${hypervisor.uri}`,
    `volume group: "${options.volumeGroup}", ${
      volumeGroup.kind === "existing" ? "which was there already" : "embedded"
    }; ${
      volumeGroup.activation === "loop"
        ? "volumes are loop devices, because this kernel has no device mapper"
        : "volumes are activated by device mapper"
    }`,
    `object store: ${objectStore.kind === "existing" ? "running already" : "embedded"}, ${objectStore.endpoint}, bucket "${options.objectStore.bucket}"`,
  ];
}

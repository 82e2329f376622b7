import { layoutOf } from "./layout.ts";
import type { Observed } from "./observed.ts";
import { hypervisorIsOurs, planHypervisor } from "./plan-hypervisor.ts";
import { planObjectStore } from "./plan-object-store.ts";
import { planVolumeGroup } from "./plan-volume-group.ts";
import type {
  EmbeddedFacts,
  EmbeddedOptions,
  EmbeddedPlan,
  EmbeddedStep,
  Refusal,
} from "./types.ts";

/** Programs that a step calls, beyond those that every Linux has. */
const toolsOf: Readonly<Record<EmbeddedStep["do"], readonly string[]>> = {
  endProcesses: [],
  makeNamespace: ["ip"],
  adoptNamespace: ["ip"],
  prepareLibvirt: [],
  startDaemon: [
    "libvirtd",
    "virtlogd",
    "virsh",
    "dnsmasq",
    "nsenter",
    "unshare",
    "ip",
    "qemu-system-x86_64",
  ],
  awaitLibvirt: ["virsh"],
  startNetwork: ["virsh", "dnsmasq"],
  removeVolumeGroup: ["vgremove", "pvremove"],
  detachLoops: ["losetup"],
  makeVolumeFile: [],
  growVolumeFile: ["losetup", "pvresize"],
  attachVolumeFile: ["losetup", "pvcreate", "vgcreate", "vgs", "flock", "perl"],
  makeVolumeGroup: ["pvcreate", "vgcreate"],
  activateVolumes: ["lvs", "pvs", "losetup", "flock", "perl"],
  makeCredentials: [],
  startObjectStore: ["minio"],
  makeBucket: [],
};

/** Every program that some step could need. */
export const allTools = [...new Set(Object.values(toolsOf).flat())];

/** Why nothing is even looked at: LVM lists nothing to anybody else. */
export const notRoot: Refusal = {
  code: "not-root",
  message: "Volumes, network namespaces and the embedded hypervisor need root on this machine.",
  next: 'Run the same command as root, such as with `sudo env "PATH=$PATH"` before it, or leave groundwork:embedded out and give the hypervisor a uri of a machine where you are root.',
};

/** Decides what must be done so that hypervisor, volume group and object store are there. */
export function planEmbedded(options: EmbeddedOptions, observed: Observed): EmbeddedPlan {
  const { machine } = observed;
  const parts = [
    planHypervisor(options, machine, observed.hypervisor),
    planVolumeGroup(options, machine, observed.volumeGroup),
    planObjectStore(options, machine, observed.objectStore),
  ];
  const planned = parts.flatMap((part) => part.steps);
  // A group is removed once the guests that have its volumes open are gone; then all is planned anew.
  const wait =
    planned.some((step) => step.do === "removeVolumeGroup") &&
    planned.some((step) => step.part === "hypervisor" && step.do === "endProcesses");
  const steps = wait ? planned.filter((step) => step.part !== "volumeGroup") : planned;
  const needed = new Set(steps.flatMap((step) => toolsOf[step.do]));
  const missing = machine.missingTools.filter((tool) => needed.has(tool));
  return { steps, refusals: [...parts.flatMap((part) => part.refusals), ...missingTools(missing)] };
}

function missingTools(missing: readonly string[]): Refusal[] {
  if (missing.length === 0) return [];
  return [
    {
      code: "tool-missing",
      message: `Cannot start what is missing on this machine without ${missing.join(", ")}.`,
      next: "Run `scripts/setup`, which installs it or says how.",
    },
  ];
}

/** What is in use once nothing is left to do. */
export function factsOf(
  options: EmbeddedOptions,
  observed: Observed,
  credentialsFile: string,
): EmbeddedFacts {
  const layout = layoutOf(options);
  const { machine, hypervisor, volumeGroup, objectStore } = observed;
  return {
    hypervisor: hypervisorIsOurs(machine, hypervisor)
      ? { kind: "embedded", uri: layout.uri, networkNamespace: layout.namespace }
      : { kind: "system", uri: "qemu:///system" },
    volumeGroup: {
      kind: volumeGroup.fileBytes === undefined ? "existing" : "embedded",
      activation: volumeGroup.activation,
    },
    objectStore: {
      kind: objectStore.processes.length > 0 ? "embedded" : "existing",
      endpoint: options.objectStore.endpoint,
      credentialsFile,
    },
  };
}

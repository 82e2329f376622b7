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

/** Decides what must be done so that hypervisor, volume group and object store are there. */
export function planEmbedded(options: EmbeddedOptions, observed: Observed): EmbeddedPlan {
  const { machine } = observed;
  if (!machine.root)
    return {
      steps: [],
      refusals: [
        {
          code: "not-root",
          message:
            "Volumes, network namespaces and the embedded hypervisor need root on this machine.",
          next: "Run the same command with sudo, or give the hypervisor a uri of a machine where you are root.",
        },
      ],
    };
  const parts = [
    planHypervisor(options, machine, observed.hypervisor),
    planVolumeGroup(options, machine, observed.volumeGroup),
    planObjectStore(options, machine, observed.objectStore),
  ];
  const steps = parts.flatMap((part) => part.steps);
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

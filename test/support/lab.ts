import { parseConfig } from "../../config.ts";

/** The sections of a small lab that is right in every respect, to be spoilt by tests. */
export function labSections(): Record<string, unknown> {
  return {
    "groundwork:images": [{ name: "debian", build: {} }],
    "groundwork:hypervisors": [{ name: "hv", volumeGroup: "vg" }],
    "groundwork:networks": [
      { name: "lab", hypervisor: "hv", cidr: "192.168.150.0/24", domain: "lab.internal" },
    ],
    "groundwork:machines": [labMachine()],
  };
}

export function labMachine(): Record<string, unknown> {
  return {
    name: "vm1",
    hypervisor: "hv",
    rootVolume: { image: "debian", sizeGiB: 4 },
    networks: [{ network: "lab", address: "192.168.150.10" }],
  };
}

export const labConfig = (): ReturnType<typeof parseConfig> => parseConfig(labSections());

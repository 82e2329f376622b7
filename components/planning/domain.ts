import { createHash } from "node:crypto";
import { GroundworkError } from "../../providers/errors.ts";
import { deriveUuid } from "./addresses.ts";
import type { DomainSettings } from "./domain-xslt.ts";

export type Accelerator = "kvm" | "qemu";
export type Firmware = "bios" | "uefi" | "uefi-secure";

/** Code and empty variables of a UEFI build, as files on the hypervisor. */
export interface FirmwareFiles {
  code: string;
  vars: string;
}

/** What the hypervisor offers to a domain. */
export interface HostOffer {
  /** The best that really runs a guest there. */
  accelerator: Accelerator;
  firmware: { uefi?: FirmwareFiles; uefiSecure?: FirmwareFiles };
}

export interface DomainWish {
  stack: string;
  /** `<project>/<stack>`. */
  owner: string;
  name: string;
  firmware: Firmware;
  /** Instead of the hypervisor's. */
  accelerator?: Accelerator;
  vnc: boolean;
  guestAgent: boolean;
  /** Serials of the further disks, in order. */
  volumes: readonly string[];
  serialLogPath: string;
  /** Where the domain keeps its UEFI variables. */
  nvramPath: string;
}

/** The settings of a domain as the libvirt provider takes them. */
export interface DomainPlan {
  type: Accelerator;
  cpuMode: "host-passthrough" | "maximum";
  /** Path of the firmware; undefined for BIOS, which QEMU brings along. */
  firmware?: string;
  nvram?: { file: string; template: string };
  /** What goes into the stylesheet. */
  settings: DomainSettings;
}

function refuse(code: string, wish: DomainWish, message: string, next: string): GroundworkError {
  return new GroundworkError({
    code,
    message: `Cannot define machine "${wish.name}": ${message}`,
    next,
  });
}

function chooseFirmware(wish: DomainWish, offer: HostOffer): FirmwareFiles | undefined {
  if (wish.firmware === "bios") return undefined;
  const files = wish.firmware === "uefi" ? offer.firmware.uefi : offer.firmware.uefiSecure;
  if (files !== undefined) return files;
  throw refuse(
    "firmware-missing",
    wish,
    `its firmware is "${wish.firmware}" and the hypervisor has no such OVMF build.`,
    `Install OVMF there (Debian: apt install ovmf), or set firmware to bios for an image that boots so.`,
  );
}

function chooseAccelerator(wish: DomainWish, offer: HostOffer): Accelerator {
  if (wish.accelerator === "kvm" && offer.accelerator === "qemu")
    throw refuse(
      "kvm-missing",
      wish,
      "it wants KVM and no guest runs with KVM on the hypervisor.",
      "Switch virtualisation on in the host's firmware (or nested virtualisation in its own hypervisor), or leave accelerator out.",
    );
  return wish.accelerator ?? offer.accelerator;
}

/**
 * Decides what a domain is made of on a hypervisor.
 *
 * @throws GroundworkError `firmware-missing` or `kvm-missing` where the hypervisor lacks what the
 *   machine asks for.
 */
export function planDomain(wish: DomainWish, offer: HostOffer): DomainPlan {
  const accelerator = chooseAccelerator(wish, offer);
  const firmware = chooseFirmware(wish, offer);
  return {
    type: accelerator,
    cpuMode: accelerator === "kvm" ? "host-passthrough" : "maximum",
    ...(firmware !== undefined && {
      firmware: firmware.code,
      nvram: { file: wish.nvramPath, template: firmware.vars },
    }),
    settings: {
      uuid: deriveUuid("domain", wish.stack, wish.name),
      owner: wish.owner,
      secureBoot: wish.firmware === "uefi-secure",
      vnc: wish.vnc,
      guestAgent: wish.guestAgent,
      serialLogPath: wish.serialLogPath,
      volumes: wish.volumes,
    },
  };
}

/** Another text for every other domain, whatever its settings are. */
export function digestDomain(settings: unknown): string {
  return createHash("sha256").update(JSON.stringify(settings)).digest("hex");
}

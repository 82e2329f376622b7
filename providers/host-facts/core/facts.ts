import { z } from "zod";
import { GroundworkError, tail } from "../../errors.ts";
import { hostOf } from "../../host/core/connection.ts";
import { planFirmware } from "./firmware.ts";
import { type HostProbe, parseVersion } from "./probe.ts";

export const argsSchema = z.strictObject({
  hypervisorUri: z.string().min(1),
  /** What the configuration asks for; the fact `accelerator` is what it comes to. */
  requestedAccelerator: z.enum(["auto", "kvm", "qemu"]),
});

export type HostFactsInputs = z.infer<typeof argsSchema>;

const firmwareSchema = z.strictObject({ code: z.string(), vars: z.string() });

export const factsSchema = z.object({
  /** The domain type: `kvm`, or `qemu` for emulation. */
  accelerator: z.enum(["kvm", "qemu"]),
  /** Why that one: empty where nothing needs an explanation. */
  acceleratorReason: z.string(),
  /** The domain's CPU mode that goes with it. */
  cpuMode: z.enum(["host-passthrough", "maximum"]),
  emulator: z.string(),
  firmware: z.strictObject({
    uefi: firmwareSchema.optional(),
    uefiSecure: firmwareSchema.optional(),
  }),
  libvirtVersion: z.string(),
  qemuVersion: z.string(),
  cpus: z.int(),
  memoryMiB: z.int(),
  memoryAvailableMiB: z.int(),
});

export type HostFactsValues = z.infer<typeof factsSchema>;

/** The names of the facts, all computed. */
export const factNames = Object.keys(factsSchema.shape) as (keyof HostFactsValues)[];

/**
 * Decides what the host offers from one look at it.
 *
 * @throws GroundworkError `libvirt-not-answering`, `qemu-missing`, `kvm-not-working`.
 */
export function planFacts(args: HostFactsInputs, probe: HostProbe, host: string): HostFactsValues {
  if (!probe.libvirt.answers)
    throw new GroundworkError({
      code: "libvirt-not-answering",
      message: `libvirt does not answer at ${args.hypervisorUri} on ${host}: ${tail(probe.libvirt.output, 3).replaceAll("\n", "; ")}.`,
      next: "Start it there (`systemctl start libvirtd`), or run `make up`, which starts what stack local needs on this machine.",
    });
  if (probe.emulator === undefined)
    throw new GroundworkError({
      code: "qemu-missing",
      message: `There is no qemu-system-x86_64 on ${host}, which libvirt at ${args.hypervisorUri} needs to run guests.`,
      next: "Install QEMU there (Debian: qemu-system-x86, Fedora: qemu-kvm).",
    });
  if (args.requestedAccelerator === "kvm" && probe.kvm?.works !== true)
    throw new GroundworkError({
      code: "kvm-not-working",
      message: `KVM runs no guest on ${host}, and the hypervisor at ${args.hypervisorUri} is configured with accelerator: kvm. A test guest failed: ${probe.kvm?.output ?? "not tried"}.`,
      next: "Switch on virtualisation in its firmware (or nested virtualisation below it), or set accelerator: auto.",
    });
  const kvm = args.requestedAccelerator !== "qemu" && probe.kvm?.works === true;
  return {
    accelerator: kvm ? "kvm" : "qemu",
    acceleratorReason: kvm || args.requestedAccelerator === "qemu" ? "" : (probe.kvm?.output ?? ""),
    cpuMode: kvm ? "host-passthrough" : "maximum",
    emulator: probe.emulator,
    firmware: planFirmware(probe.files),
    libvirtVersion: parseVersion(probe.libvirt.output, "libvirt") ?? "unknown",
    qemuVersion: parseVersion(probe.libvirt.output, "qemu") ?? "unknown",
    cpus: probe.cpus,
    memoryMiB: probe.memoryMiB,
    memoryAvailableMiB: probe.memoryAvailableMiB,
  };
}

/**
 * Refuses another host in the place of one where the stack has something: libvirt's resources would
 * be looked for on the new one, and stay forgotten on the old one.
 *
 * @throws GroundworkError `hypervisor-elsewhere`.
 */
export function refuseAnotherHost(old: string, now: string): void {
  if (hostOf(old) === hostOf(now)) return;
  throw new GroundworkError({
    code: "hypervisor-elsewhere",
    message: `A hypervisor of this stack is at ${old}, and ${now} names another host.`,
    next: "Give the new host a name of its own in groundwork:hypervisors, and let networks and machines name that; or run `make down` before the change.",
  });
}

/**
 * What another look at the same host finds. Memory in use by our own machines counts as available,
 * which is why that number never falls below its old value.
 */
export function lookAgain(old: HostFactsValues, seen: HostFactsValues): HostFactsValues {
  const available = Math.max(old.memoryAvailableMiB, seen.memoryAvailableMiB);
  return { ...seen, memoryAvailableMiB: Math.min(available, seen.memoryMiB) };
}

/**
 * What a refresh changes: sizes and versions. What decides how a machine is defined stays as it was,
 * so that a probe that fails once never replaces a machine.
 */
export function refreshFacts(old: HostFactsValues, seen: HostFactsValues): HostFactsValues {
  const { libvirtVersion, qemuVersion, cpus, memoryMiB, memoryAvailableMiB } = lookAgain(old, seen);
  return { ...old, libvirtVersion, qemuVersion, cpus, memoryMiB, memoryAvailableMiB };
}

import * as pulumi from "@pulumi/pulumi";
import { handlerStub } from "../stub.ts";
import type { FirmwareChoice } from "./core/firmware.ts";

export { type HostCapacity, type MachineSize, refuseOversizedMachines } from "./core/capacity.ts";
export type { Firmware, FirmwareChoice } from "./core/firmware.ts";

export interface HostFactsArgs {
  /** libvirt's URI of the hypervisor. */
  hypervisorUri: pulumi.Input<string>;
  /**
   * `auto`: KVM where a guest really runs with it, else emulation. `kvm`: refuse a host where none
   * does. `qemu`: emulation.
   */
  accelerator: pulumi.Input<"auto" | "kvm" | "qemu">;
}

/**
 * What a hypervisor offers, found by trying. Known in preview already.
 *
 * Facts stay as first found until an argument changes, so that a probe that fails once cannot
 * replace a machine; `pulumi refresh` updates versions, CPUs and memory only.
 */
export class HostFacts extends pulumi.dynamic.Resource {
  declare readonly hypervisorUri: pulumi.Output<string>;
  /** The domain type. */
  declare readonly accelerator: pulumi.Output<"kvm" | "qemu">;
  /** Why guests are emulated though `auto` was asked; empty otherwise. */
  declare readonly acceleratorReason: pulumi.Output<string>;
  /** The CPU mode of a domain that goes with the accelerator. */
  declare readonly cpuMode: pulumi.Output<"host-passthrough" | "maximum">;
  /** Path of the QEMU binary on the host. */
  declare readonly emulator: pulumi.Output<string>;
  /** UEFI firmware on the host, by kind; a kind that is missing is not installed. */
  declare readonly firmware: pulumi.Output<FirmwareChoice>;
  declare readonly libvirtVersion: pulumi.Output<string>;
  declare readonly qemuVersion: pulumi.Output<string>;
  declare readonly cpus: pulumi.Output<number>;
  /** All memory of the host. */
  declare readonly memoryMiB: pulumi.Output<number>;
  /** The memory that was free when the host was first looked at, before our machines ran. */
  declare readonly memoryAvailableMiB: pulumi.Output<number>;
  /** Not known in a preview while nobody answers there, though the facts may be. */
  declare readonly reachable: pulumi.Output<true>;

  constructor(name: string, args: HostFactsArgs, opts?: pulumi.CustomResourceOptions) {
    super(
      handlerStub("host-facts"),
      name,
      {
        hypervisorUri: args.hypervisorUri,
        // Under a name of its own, for the output `accelerator` is known in preview too.
        requestedAccelerator: args.accelerator,
        accelerator: undefined,
        acceleratorReason: undefined,
        cpuMode: undefined,
        emulator: undefined,
        firmware: undefined,
        libvirtVersion: undefined,
        qemuVersion: undefined,
        cpus: undefined,
        memoryMiB: undefined,
        memoryAvailableMiB: undefined,
        reachable: undefined,
      },
      opts,
      "groundwork",
      "HostFacts",
    );
  }
}

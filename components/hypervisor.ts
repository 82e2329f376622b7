import * as libvirt from "@pulumi/libvirt";
import * as pulumi from "@pulumi/pulumi";
import {
  HostFacts,
  type MachineSize,
  refuseOversizedMachines,
} from "../providers/host-facts/resource.ts";
import { HostFolder } from "../providers/host-folder/resource.ts";
import type { Encoding } from "../providers/image-volume/core/transcode.ts";
import type { HostOffer } from "./planning/domain.ts";
import { type Placement, planPlacement, subfolders } from "./planning/placement.ts";
import { planProviderUri } from "./planning/provider-uri.ts";
import { present } from "./present.ts";

export interface HypervisorArgs {
  /** libvirt's URI, such as `qemu:///system` or `qemu+ssh://root@hv1/system`. */
  uri: string;
  /** The LVM volume group for machines' volumes, which must exist. */
  volumeGroup: string;
  /** How its image cache keeps images: as they came, or with a copy that decodes faster. */
  cache: { encoding: Encoding };
  /** `auto`: KVM where a guest really runs with it, else emulation. */
  accelerator: "auto" | "kvm" | "qemu";
  /** The pool for seeds; name and path have defaults. A change replaces pool, seeds and domains. */
  pool: { name?: string | undefined; path?: string | undefined };
  /** The machines to run there: together they must fit. */
  machines: readonly MachineSize[];
  /** The folder of Groundwork on the machine that runs Pulumi. */
  home: string;
}

/**
 * A libvirt host: the connection, what it offers, a folder and a storage pool of the stack's own.
 *
 * Refuses machines that do not fit. Removes, in the end, all that the stack had put on the host.
 */
export class Hypervisor extends pulumi.ComponentResource {
  readonly uri: string;
  readonly volumeGroup: string;
  readonly cacheEncoding: Encoding;
  readonly placement: Placement;
  /** For every libvirt resource on this host, which another hypervisor makes anew. */
  readonly onHost: { provider: libvirt.Provider; replacementTrigger: string };
  /** The pool that holds the seeds. */
  readonly pool: libvirt.Pool;
  /** What domains can be made of; known once the machines are known to fit. */
  readonly offer: pulumi.Output<HostOffer>;

  constructor(name: string, args: HypervisorArgs, opts?: pulumi.ComponentResourceOptions) {
    super("groundwork:index:Hypervisor", name, {}, opts);
    this.uri = args.uri;
    this.volumeGroup = args.volumeGroup;
    this.cacheEncoding = args.cache.encoding;
    this.placement = planPlacement({ stack: pulumi.getStack(), hypervisor: name, ...args });

    const facts = new HostFacts(
      name,
      { hypervisorUri: args.uri, accelerator: args.accelerator },
      { parent: this },
    );
    this.offer = pulumi
      .all([
        facts.accelerator,
        facts.firmware,
        facts.cpus,
        facts.memoryMiB,
        facts.memoryAvailableMiB,
      ])
      .apply(([accelerator, firmware, cpus, memoryMiB, memoryAvailableMiB]) => {
        const capacity = { cpus, memoryMiB, memoryAvailableMiB };
        present(this, () => {
          refuseOversizedMachines(name, capacity, args.machines);
        });
        return { accelerator, firmware };
      });

    const folder = new HostFolder(
      name,
      {
        hypervisorUri: args.uri,
        path: this.placement.folder,
        subfolders: [...subfolders],
        owner: `${pulumi.getProject()}/${pulumi.getStack()}`,
        hypervisor: name,
      },
      { parent: this, dependsOn: facts },
    );
    // Not known where nobody answers, so that a preview goes on without a connection.
    const uri = facts.reachable.apply(() => planProviderUri(args.uri));
    const provider = new libvirt.Provider(name, { uri }, { parent: this });
    // Another provider alone would leave what is there where it is.
    this.onHost = { provider, replacementTrigger: name };
    this.pool = new libvirt.Pool(
      name,
      { name: this.placement.poolName, type: "dir", target: { path: this.placement.seeds } },
      // Names of pools are unique on a host, so the old one goes first.
      { parent: this, provider, dependsOn: folder, deleteBeforeReplace: true },
    );

    this.registerOutputs({
      uri: this.uri,
      volumeGroup: this.volumeGroup,
      accelerator: facts.accelerator,
    });
  }
}

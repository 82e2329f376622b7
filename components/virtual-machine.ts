import * as libvirt from "@pulumi/libvirt";
import * as pulumi from "@pulumi/pulumi";
import {
  deriveInstanceId,
  renderMetaData,
  renderNetworkConfig,
  renderUserData,
  type Seed,
  type SeedFile,
} from "../cloud-init/render.ts";
import type { Strategy } from "../providers/image-volume/core/arguments.ts";
import type { Provisioning } from "../providers/image-volume/core/thin.ts";
import { DomainShutdown } from "../providers/domain-shutdown/resource.ts";
import { ImageVolume, type ImageVolumeArgs } from "../providers/image-volume/resource.ts";
import { KeyPair } from "../providers/key-pair/resource.ts";
import { MachineReady } from "../providers/machine-ready/resource.ts";
import type { Hypervisor } from "./hypervisor.ts";
import type { Network } from "./network.ts";
import { deriveMac } from "./planning/addresses.ts";
import { type Accelerator, digestDomain, type Firmware, planDomain } from "./planning/domain.ts";
import { renderDomainXslt } from "./planning/domain-xslt.ts";
import { planInterface } from "./planning/network.ts";
import { nvramPath, serialLogPath } from "./planning/placement.ts";
import { present } from "./present.ts";

export interface MachineAttachment {
  network: Network;
  address: string;
  /** The address comes from DHCP, by a reservation; default: it is set in the machine. */
  dhcp: boolean;
  /** Default: derived from stack, machine and network. */
  mac?: string | undefined;
}

export interface MachineLogin {
  user: string;
  authorizedKeys: readonly pulumi.Input<string>[];
  /** The private half of one of the keys: readiness is seen by logging in. */
  privateKey: pulumi.Output<string>;
  /** A secret, from which the host key of a new machine follows. Default: it is drawn by lot. */
  hostKeySeed?: pulumi.Input<string>;
}

export interface MachineVolume {
  /** In GiB; a larger one grows in place. */
  sizeGiB: number;
  /** Default: the hypervisor's. */
  volumeGroup?: string | undefined;
  /** What becomes of the content when it is removed. */
  wipe: "discard" | "zero" | "none";
  /** How it takes its space; default: thin where the volume group has one thin pool. */
  provisioning?: Provisioning | undefined;
  /** Default: the volume group's only one. */
  thinPool?: string | undefined;
}

export interface VirtualMachineArgs {
  /** The host that runs it. A change replaces all of it. */
  hypervisor: Hypervisor;
  /** Virtual processors. A change replaces the domain; volumes stay. */
  vcpus: number;
  /** Memory in MiB. A change replaces the domain; volumes stay. */
  memoryMiB: number;
  /** The disk it boots from; its arguments are those of ImageVolume. */
  rootVolume: MachineVolume & {
    image: NonNullable<pulumi.Unwrap<ImageVolumeArgs["image"]>>;
    /** Another number, as another digest, writes the image anew; seed and domain are replaced. */
    generation: number;
    /** Whether it is written onto the volume or beside it, while the machine runs. */
    strategy: Strategy;
    /** Keeps what the volume was before, to come back to. */
    keepPrevious: boolean;
    /** Lets the machine be stopped for that. */
    allowStop: boolean;
    /** How long it may take to shut down before it is switched off. */
    shutdownTimeoutSeconds: number;
  };
  /** Further disks, whose serial is their name, empty without an image. A change replaces the domain. */
  volumes: readonly (MachineVolume & {
    name: string;
    image?: NonNullable<pulumi.Unwrap<ImageVolumeArgs["image"]>>;
  })[];
  /** One or more; by the first it is reached. A change replaces the domain. */
  networks: readonly MachineAttachment[];
  /** A change replaces seed and domain; volumes stay, and cloud-init runs anew. */
  login: MachineLogin;
  /** As `login`. */
  cloudInit: {
    packages: readonly string[];
    files: readonly SeedFile[];
    commands: readonly (string | readonly string[])[];
  };
  /** A change replaces the domain. */
  firmware: Firmware;
  /** Default: the hypervisor's. A change replaces the domain. */
  accelerator?: Accelerator | undefined;
  /** A VNC screen on the host's loopback address. A change replaces the domain. */
  vnc: boolean;
  /** Start it with the host. Changed in place. */
  autostart: boolean;
  /** A channel for the QEMU guest agent. A change replaces the domain. */
  guestAgent: boolean;
  /** Must have happened before the root volume is written and the domain made, or either made anew. */
  turn?: pulumi.Resource;
  /** How long to wait until SSH answers and cloud-init is done, in seconds. */
  readyTimeoutSeconds: number;
}

/**
 * A virtual machine: its volumes, a cloud-init seed with a host key of our own, the domain.
 *
 * It is there once SSH answers with that host key and cloud-init reports that it is done. The
 * volumes survive every replacement of seed and domain.
 */
export class VirtualMachine extends pulumi.ComponentResource {
  readonly hypervisorUri: string;
  /** In the order of the networks. */
  readonly addresses: string[];
  /** Of the first interface, upper case. */
  readonly mac: string;
  /** The pinned SSH host key, one line. */
  readonly hostPublicKey: pulumi.Output<string>;
  /** The root volume on the hypervisor. */
  readonly volumePath: pulumi.Output<string>;
  /** SHA-256 of the base image it was made from. */
  readonly imageDigest: pulumi.Output<string | undefined>;
  /** The console's output on the hypervisor. */
  readonly serialLogPath: string;
  /** Known once it was told to boot; another text for every machine that boots anew. */
  readonly identity: pulumi.Output<string>;

  constructor(name: string, args: VirtualMachineArgs, opts?: pulumi.ComponentResourceOptions) {
    super("groundwork:index:VirtualMachine", name, {}, opts);
    const stack = pulumi.getStack();
    const owner = `${pulumi.getProject()}/${stack}`;
    const { hypervisor, login, networks } = args;
    const onHost = { parent: this, ...hypervisor.onHost };
    const macs = networks.map(({ mac }, index) =>
      (mac ?? deriveMac(stack, name, String(index))).toUpperCase(),
    );
    const interfaces = networks.map(({ network, address, dhcp }, index) => ({
      ...planInterface(network.plan, { mac: macs[index] ?? "", address, dhcp }),
    }));
    this.hypervisorUri = hypervisor.uri;
    this.addresses = networks.map(({ address }) => address);
    this.mac = macs[0] ?? "";
    this.serialLogPath = serialLogPath(hypervisor.placement, name);

    const volume = (
      suffix: string,
      {
        volumeGroup,
        provisioning,
        thinPool,
        ...volumeArgs
      }: MachineVolume &
        Omit<Partial<ImageVolumeArgs>, "volumeGroup" | "provisioning" | "thinPool">,
      turn?: pulumi.Resource,
    ) =>
      new ImageVolume(
        `${name}-${suffix}`,
        {
          hypervisorUri: hypervisor.uri,
          volumeGroup: volumeGroup ?? hypervisor.volumeGroup,
          cacheEncoding: hypervisor.cacheEncoding,
          volumeName: `${name}-${suffix}`,
          owner,
          ...(provisioning !== undefined && { provisioning }),
          ...(thinPool !== undefined && { thinPool }),
          ...volumeArgs,
        },
        { parent: this, ...(turn !== undefined && { dependsOn: turn }) },
      );
    // A root volume that was written anew gets a new seed, and with it a new domain, which starts.
    const root = volume("root", { ...args.rootVolume, startAgain: false }, args.turn);
    const further = args.volumes.map(({ name: suffix, ...rest }) => volume(suffix, rest));
    this.volumePath = root.devicePath;
    this.imageDigest = root.digest;

    const hostKey = new KeyPair(
      `${name}-host`,
      {
        comment: name,
        ...(login.hostKeySeed !== undefined && {
          seed: login.hostKeySeed,
          purpose: `host key of ${pulumi.getStack()}/${name}`,
        }),
      },
      { parent: this },
    );
    this.hostPublicKey = hostKey.publicKey;
    const seed = pulumi
      .all([hostKey.publicKey, pulumi.all([...login.authorizedKeys])])
      .apply(([hostPublicKey, authorizedKeys]): Seed => {
        const domain = networks[0]?.network.plan.domain;
        return {
          hostname: name,
          ...(domain !== undefined && { domain }),
          user: login.user,
          authorizedKeys,
          hostPublicKey,
          guestAgent: args.guestAgent,
          interfaces,
          ...args.cloudInit,
        };
      });
    const instanceId = pulumi
      .all([seed, root.contentId])
      .apply(([told, contentId]) => deriveInstanceId(told, contentId));
    const seedDisk = new libvirt.CloudinitDisk(
      name,
      {
        name: pulumi.interpolate`${instanceId}.iso`,
        pool: hypervisor.pool.name,
        userData: pulumi.secret(
          pulumi.all([seed, hostKey.privateKey]).apply(([s, key]) => renderUserData(s, key)),
        ),
        metaData: instanceId.apply((id) => renderMetaData(id, name)),
        networkConfig: renderNetworkConfig(interfaces),
      },
      // Its name tells its content, so a new one stands beside the old one until the domain has it.
      { ...onHost, additionalSecretOutputs: ["userData"] },
    );

    const plan = hypervisor.offer.apply((offer) => {
      const wish = {
        stack,
        owner,
        name,
        firmware: args.firmware,
        ...(args.accelerator !== undefined && { accelerator: args.accelerator }),
        vnc: args.vnc,
        guestAgent: args.guestAgent,
        volumes: args.volumes.map((each) => each.name),
        serialLogPath: this.serialLogPath,
        nvramPath: nvramPath(hypervisor.placement, name),
      };
      return present(this, () => planDomain(wish, offer));
    });
    const identities = pulumi.all(networks.map(({ network }) => network.identity));
    const reservations = networks.map(({ network, address, dhcp }) =>
      dhcp && network.plan.reservations ? { reserved: address } : undefined,
    );
    const wanted = {
      name,
      type: plan.type,
      machine: "q35",
      vcpu: args.vcpus,
      memory: args.memoryMiB,
      cpu: { mode: plan.cpuMode },
      firmware: plan.firmware,
      nvram: plan.nvram,
      disks: [
        ...[root, ...further].map(({ devicePath }) => ({ blockDevice: devicePath })),
        // By its volume: as a file named .iso it would become an IDE CD-ROM.
        { volumeId: seedDisk.id.apply((id) => id.split(";")[0] ?? id) },
      ],
      networkInterfaces: networks.map(({ network, address }, index) => ({
        ...network.attachment,
        mac: macs[index] ?? "",
        ...(reservations[index] && { addresses: [address], hostname: name }),
      })),
      xml: {
        xslt: pulumi
          .all([plan.settings, root.digest, identities])
          .apply(([settings, imageDigest, seen]) =>
            renderDomainXslt(settings, {
              imageDigest,
              interfaces: seen.map((network, index) => ({
                ...{ mac: macs[index] ?? "", network },
                ...reservations[index],
              })),
            }),
          ),
      },
    };
    // All of it makes another domain, whose id, a UUID, stays.
    const digest = pulumi.output(wanted).apply(digestDomain);
    const shutdown = new DomainShutdown(
      name,
      {
        hypervisorUri: hypervisor.uri,
        domain: name,
        uuid: plan.settings.uuid,
        timeoutSeconds: args.rootVolume.shutdownTimeoutSeconds,
        trigger: digest,
      },
      { parent: this, ...(args.turn !== undefined && { dependsOn: args.turn }) },
    );
    const domain = new libvirt.Domain(
      name,
      { ...wanted, autostart: args.autostart },
      // Name and UUID are fixed, so the old domain goes first. An update of its disks would start it with
      // the seed that it had.
      {
        ...{ ...onHost, deleteBeforeReplace: true, replaceOnChanges: ["disks"] },
        // The provider keeps the leases there that it sees: none before a machine has booted. Another
        // reservation makes another stylesheet.
        ignoreChanges: reservations.flatMap((each, index) =>
          each ? [`networkInterfaces[${String(index)}].addresses`] : [],
        ),
        dependsOn: shutdown,
      },
    );

    this.identity = pulumi
      .all([domain.id, digest, root.volumeUuid, root.contentId])
      .apply((parts) => parts.join(" "));

    const ready = new MachineReady(
      name,
      {
        machine: name,
        hypervisorUri: hypervisor.uri,
        uuid: plan.settings.uuid,
        address: this.addresses[0] ?? "",
        user: login.user,
        privateKey: login.privateKey,
        hostPublicKey: hostKey.publicKey,
        serialLogPath: this.serialLogPath,
        timeoutSeconds: args.readyTimeoutSeconds,
        triggers: [this.identity],
      },
      { parent: this, dependsOn: domain },
    );

    this.registerOutputs({
      addresses: this.addresses,
      mac: this.mac,
      volumePath: this.volumePath,
      imageDigest: this.imageDigest,
      serialLogPath: this.serialLogPath,
      ready: ready.id,
    });
  }
}

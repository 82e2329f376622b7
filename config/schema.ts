import { z } from "zod";
import { parseCidr } from "../components/planning/addresses.ts";
import { debianReleases } from "../images/core/debian.ts";
import { baseImageFormats } from "../providers/image-volume/core/base-image.ts";
import { encodings } from "../providers/image-volume/core/transcode.ts";
import { cluster } from "./cluster.ts";
import { machine } from "./machine.ts";
import { observability } from "./observability.ts";
import { imageFiles } from "./image-files.ts";
import {
  accelerator,
  address,
  flag,
  httpUrl,
  label,
  packages,
  publicKeys,
  sizeGiB,
  text,
  userName,
  volumeGroup,
} from "./primitives.ts";

const embedded = z
  .strictObject({
    name: text(
      /^[a-z][a-z0-9-]{0,14}$/,
      "a letter followed by at most 14 lower-case letters, digits or hyphens",
      "Names the network namespace and the folder below /run/groundwork.",
      "groundwork",
    ).default("groundwork"),
    volumeGroupSizeGiB: sizeGiB(
      "Size of the sparse file behind the volume group, in GiB.",
      40,
    ).default(40),
  })
  .meta({
    description:
      "What `make up` may start on this machine where it is missing: hypervisor, volume group, object store.",
    examples: [{ name: "groundwork" }],
  });

const objectStore = z
  .strictObject({
    endpoint: httpUrl(
      "URL of MinIO or another S3 service, as the hypervisors reach it.",
      "http://127.0.0.1:9000",
    ).default("http://127.0.0.1:9000"),
    bucket: text(
      /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
      "an S3 bucket name of 3 to 63 lower-case letters, digits, dots and hyphens",
      "The bucket that holds the base images.",
      "images",
    ).default("images"),
    region: text(/^[a-z0-9-]+$/, "a region name", "S3 region to sign for.", "us-east-1").default(
      "us-east-1",
    ),
  })
  .meta({ description: "Where the base images are.", examples: [{ bucket: "images" }] });

const image = z
  .strictObject({
    name: text(
      /^[a-z0-9][a-z0-9._-]{0,63}$/,
      "lower-case letters, digits, dots, hyphens and underscores",
      "Machines refer to it by this name; the object is `<name>.<format>`.",
      "debian",
    ),
    format: z
      .enum(baseImageFormats)
      .default("qcow2")
      .meta({
        description:
          "What the image's file is, which is never guessed; a packed one stays packed until it is written.",
        examples: ["raw.zst"],
      }),
    build: z
      .strictObject({
        release: z
          .enum(debianReleases)
          .optional()
          .meta({
            description:
              "Release of Debian; by default that of the machine that builds, or trixie where it is not Debian.",
            examples: ["trixie"],
          }),
        sizeGiB: sizeGiB("Virtual size of the image in GiB; volumes may be larger.", 2).default(2),
        packages: packages("Debian packages beyond the base system."),
        files: imageFiles,
      })
      .optional()
      .meta({ description: "Build it from Debian packages.", examples: [{ sizeGiB: 2 }] }),
    url: httpUrl(
      "Take it from this URL; needs sha256 or sha256SumsUrl.",
      "https://cloud.debian.org/images/cloud/trixie/latest/debian-13-genericcloud-amd64.qcow2",
    ).optional(),
    sha256: text(
      /^[0-9a-fA-F]{64}$/,
      "64 hexadecimal digits",
      "The SHA-256 that the image must have.",
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ).optional(),
    sha256SumsUrl: httpUrl(
      "URL of a file with lines `<sha256>  <file name>` that names the image.",
      "https://cloud-images.ubuntu.com/noble/current/SHA256SUMS",
    ).optional(),
  })
  .meta({
    description: "A base image. With neither build nor url it must be in the store already.",
    examples: [{ name: "debian", build: { sizeGiB: 2 } }],
  });

const ssh = z
  .strictObject({
    user: userName("The user that machines get, with sudo and key-only login.").default("deploy"),
    authorizedKeys: publicKeys(
      "Public keys let in on every machine, beside the stack's own key pair.",
    ),
    hostKeySeed: text(
      /^[!-~]{32,256}$/,
      "32 to 256 visible characters",
      "Machines' host keys follow from it, so that they are the same after destroy and up; default: drawn by lot. A secret.",
      "0b7c9a4f5d2e8163a9c07d1e4f6b2a58",
    ).optional(),
  })
  .meta({ description: "How the machines are entered.", examples: [{ user: "deploy" }] });

const hypervisor = z
  .strictObject({
    name: label("Networks and machines refer to it by this name.", "local"),
    uri: text(
      /^qemu(\+[a-z]+)?:\/\/\S+$/,
      "a libvirt URI of the qemu driver",
      "libvirt URI; default: $LIBVIRT_DEFAULT_URI, else qemu:///system.",
      "qemu+ssh://root@hv1.example.org/system",
    )
      // The libvirt provider takes no user from ssh's configuration.
      .regex(
        /^(?!qemu\+ssh:\/\/[^@/?]*([/?]|$))/,
        "a user before the host, such as qemu+ssh://root@hv1.example.org/system",
      )
      .optional(),
    volumeGroup: volumeGroup("The LVM volume group that holds the machines' volumes."),
    cache: z
      .strictObject({
        encoding: z
          .enum(encodings)
          .default("zstd")
          .meta({
            description:
              "asIs, or zstd: beside an image compressed with zlib the host makes a copy, in the background, that decodes in half the time.",
            examples: ["asIs"],
          }),
        images: z
          .array(z.string())
          .default([])
          .meta({
            description: "Images that it shall have before any machine needs them, by their names.",
            examples: [["debian"]],
          }),
      })
      .prefault({})
      .meta({ description: "Its image cache.", examples: [{ images: ["debian"] }] }),
    accelerator: accelerator.default("auto").meta({
      description: "kvm, qemu (emulation), or auto: kvm where a guest really runs with it.",
      examples: ["auto"],
    }),
    pool: z
      .strictObject({
        name: label(
          "Name of the pool; default: groundwork-<stack>-<hypervisor>.",
          "groundwork-lab",
        ).optional(),
        path: text(
          /^(?!.*\/\.\.?(\/|$))(\/[^/\r\n]+){2,}$/,
          "an absolute path of two or more components, without . and ..",
          "Folder of the pool on the hypervisor.",
          "/var/lib/groundwork/pools/lab",
        ).optional(),
      })
      .default({})
      .meta({
        description: "The libvirt storage pool for the cloud-init seeds.",
        examples: [{ path: "/var/lib/groundwork/pools/lab" }],
      }),
  })
  .meta({
    description: "A libvirt host.",
    examples: [{ name: "local", volumeGroup: "groundwork" }],
  });

const network = z
  .strictObject({
    name: label("Machines refer to it by this name; it is libvirt's name, too.", "lab"),
    hypervisor: label("The hypervisor that carries it.", "local"),
    mode: z
      .enum(["nat", "route", "bridge", "existing"])
      .default("nat")
      .meta({
        description:
          "nat: behind the hypervisor's address. route: routed, without NAT. bridge: a bridge of the hypervisor's. existing: a libvirt network of this name that is not ours.",
        examples: ["nat"],
      }),
    cidr: z
      .string()
      .refine((cidr) => parseCidr(cidr) !== undefined, "a network address with a prefix of 8 to 29")
      .meta({ description: "The IPv4 subnet.", examples: ["192.168.150.0/24"] }),
    gateway: address(
      "Default gateway; default: the first address, but none for bridge.",
      "192.168.150.1",
    ).optional(),
    nameservers: z
      .array(address("Address of a name server.", "192.168.150.1"))
      .optional()
      .meta({ description: "Default: the gateway.", examples: [["192.168.150.1"]] }),
    domain: text(
      /^(?=.{1,200}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/,
      "a DNS domain",
      "DNS domain of the machines; nat and route resolve `<machine>.<domain>`.",
      "lab.internal",
    ).optional(),
    dhcp: flag(
      true,
      "Hand out addresses of the upper half of the subnet, and reservations; nat and route only.",
    ),
    bridge: text(
      /^[A-Za-z0-9_.-]{1,15}$/,
      "the name of a network interface, at most 15 characters",
      "The hypervisor's bridge; only for mode bridge, where it is needed.",
      "br0",
    ).optional(),
  })
  .meta({
    description: "A network that machines are attached to.",
    examples: [{ name: "lab", hypervisor: "local", cidr: "192.168.150.0/24" }],
  });

const list = <T extends z.ZodType>(element: T, description: string) =>
  z
    .array(element)
    .default([])
    .meta({ description, examples: [[]] });

/** One schema per section of a stack file, by the section's name without `groundwork:`. */
export const sections = {
  embedded: embedded.optional(),
  objectStore: objectStore.prefault({}),
  images: list(image, "The base images that machines boot from."),
  ssh: ssh.prefault({}),
  hypervisors: list(hypervisor, "The hosts that run the machines."),
  networks: list(network, "The networks."),
  machines: list(machine, "The machines."),
  observability: observability.optional(),
  clusters: list(cluster, "The k3s clusters, on machines of their own."),
};

export const configSchema = z.strictObject(sections);

/** The configuration of a stack, with every default filled in. */
export type Config = z.output<typeof configSchema>;
export type ImageConfig = Config["images"][number];
export type HypervisorConfig = Config["hypervisors"][number];
export type NetworkConfig = Config["networks"][number];
export type MachineConfig = Config["machines"][number];
export type ClusterConfig = Config["clusters"][number];
export type PoolConfig = ClusterConfig["servers"][number];
export type AttachmentConfig = MachineConfig["networks"][number];
export type ObservabilityConfig = NonNullable<Config["observability"]>;
export type CloudInitConfig = MachineConfig["cloudInit"];

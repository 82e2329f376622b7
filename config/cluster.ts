import { z } from "zod";
import { parseCidr } from "../components/planning/addresses.ts";
import { address, flag, label, text, whole } from "./primitives.ts";
import { artifact, cni, registries, snapshots, upgrade } from "./cluster-parts.ts";
import { machine } from "./machine.ts";

const labels = z
  .record(
    z
      .string()
      .regex(
        /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/,
        "a label's name, with or without a prefix",
      ),
    z
      .string()
      .regex(
        /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/,
        "a label's value as Kubernetes has it",
      ),
  )
  .default({})
  .meta({ description: "Labels of the nodes.", examples: [{ tier: "web" }] });

const taints = z
  .array(
    text(
      /^[A-Za-z0-9]([A-Za-z0-9./_-]*[A-Za-z0-9])?(=[A-Za-z0-9._-]*)?:(NoSchedule|PreferNoSchedule|NoExecute)$/,
      "key=value:effect or key:effect, the effect NoSchedule, PreferNoSchedule or NoExecute",
      "A taint.",
      "dedicated=web:NoSchedule",
    ),
  )
  .default([])
  .meta({ description: "Taints of the nodes.", examples: [["dedicated=web:NoSchedule"]] });

const { hypervisor, vcpus, rootVolume, volumes, cloudInit, firmware, accelerator, vnc } =
  machine.shape;
const { autostart, guestAgent, readyTimeoutSeconds } = machine.shape;

/** Of examples. */
const alike = {
  network: "lab",
  hypervisor: "local",
  rootVolume: { image: "debian", sizeGiB: 10 },
};
const workers = { ...alike, name: "worker", count: 2, firstAddress: "192.168.150.20" };
const servers = {
  ...alike,
  name: "server",
  nodes: [{ name: "server-01", address: "192.168.150.10" }],
};

const pool = z
  .strictObject({
    name: label(
      "Names the pool; nodes that are counted are `<cluster>-<pool>-01` and so on.",
      "worker",
    ),
    nodes: z
      .array(
        z
          .strictObject({
            name: machine.shape.name,
            address: address("Its address on the pool's network.", "192.168.150.20"),
            generation: machine.shape.rootVolume.shape.generation
              .unwrap()
              .optional()
              .meta({
                description:
                  "Its own, in place of rootVolume.generation: another number writes the disk of this node anew.",
                examples: [1],
              }),
          })
          .meta({ examples: [{ name: "worker-01", address: "192.168.150.20" }] }),
      )
      .default([])
      .meta({
        description: "The nodes by name; or count and firstAddress.",
        examples: [[{ name: "worker-01", address: "192.168.150.20" }]],
      }),
    count: whole(0, 99, "How many nodes, named and numbered by themselves.", 2).optional(),
    firstAddress: address(
      "Address of the first counted node; the others follow it.",
      "192.168.150.20",
    ).optional(),
    network: label("The network that the nodes are attached to.", "lab"),
    labels,
    taints,
    ...{ hypervisor, vcpus },
    memoryMiB: whole(512, 16_777_216, "Memory of each in MiB.", 4096).default(2048),
    ...{ rootVolume, volumes, cloudInit, firmware, accelerator, vnc },
    ...{ autostart, guestAgent, readyTimeoutSeconds },
  })
  .meta({
    description:
      "Nodes that are alike. The options of their machines are those of groundwork:machines.",
    examples: [workers],
  });

const cidr = (description: string, example: string) =>
  z
    .string()
    .refine((value) => parseCidr(value) !== undefined, "a network address with a prefix of 8 to 29")
    .meta({ description, examples: [example] });

const packaged = ["coredns", "servicelb", "traefik", "local-storage", "metrics-server"] as const;

export const cluster = z
  .strictObject({
    name: label("Names the cluster, and its context in kubeconfig.", "lab"),
    version: text(
      /^v1\.\d{1,2}\.\d{1,2}(-rc\d{1,2})?\+k3s\d{1,2}$/,
      "a version of k3s such as v1.34.3+k3s1",
      "The version of k3s. A later one upgrades the nodes one after the other.",
      "v1.34.3+k3s1",
    ),
    binary: artifact("The k3s binary.").prefault({}),
    airgapImages: artifact("The archive of k3s's own container images.").optional(),
    servers: z
      .array(pool)
      .min(1)
      .meta({
        description: "Pools of servers: one server, or an odd number with embedded etcd.",
        examples: [[servers]],
      }),
    agents: z
      .array(pool)
      .default([])
      .meta({ description: "Pools of agents.", examples: [[workers]] }),
    datastore: z
      .enum(["sqlite", "etcd"])
      .optional()
      .meta({
        description: "Default: sqlite for one server, etcd for more.",
        examples: ["etcd"],
      }),
    apiAddress: text(
      /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/,
      "an address or a host name",
      "A virtual address or load balancer in front of the servers; default: the first server's.",
      "192.168.150.5",
    ).optional(),
    tlsSans: z
      .array(
        text(
          /^[A-Za-z0-9*]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/,
          "an address or a host name",
          "A name in the API's certificate.",
          "k8s.example.org",
        ),
      )
      .default([])
      .meta({
        description: "Further names in the API's certificate; the servers' own are always in it.",
        examples: [["k8s.example.org"]],
      }),
    cni,
    clusterCidr: cidr("Addresses of pods.", "10.42.0.0/16").default("10.42.0.0/16"),
    serviceCidr: cidr("Addresses of services.", "10.43.0.0/16").default("10.43.0.0/16"),
    disable: z
      .array(z.enum(packaged).meta({ description: "A packaged component.", examples: ["traefik"] }))
      .default([])
      .meta({ description: "Packaged components left out.", examples: [["traefik"]] }),
    registries,
    kubeletArgs: z
      .array(text(/^[a-z0-9-]+=[^\r\n]*$/, "name=value", "An argument of kubelet.", "max-pods=200"))
      .default([])
      .meta({ description: "Arguments of every kubelet.", examples: [["max-pods=200"]] }),
    secretsEncryption: flag(
      false,
      "Encrypt Secrets in the datastore. Cannot be switched off later.",
    ),
    auditPolicy: z
      .record(z.string(), z.unknown())
      .optional()
      .meta({
        description: "An audit policy of audit.k8s.io/v1; with it the servers keep an audit log.",
        examples: [{ rules: [{ level: "Metadata" }] }],
      }),
    tokenGeneration: whole(
      0,
      1_000_000,
      "Another number draws new tokens: servers take them first, then agents, one after the other.",
      1,
    ).default(0),
    certificateGeneration: whole(
      0,
      1_000_000,
      "Another number has the nodes make new certificates: servers, then agents, one after the other.",
      1,
    ).default(0),
    snapshots,
    upgrade,
    readyTimeoutSeconds: whole(
      60,
      86_400,
      "How long nodes may take to be Ready, from the moment their machines are started.",
      900,
    ).default(900),
  })
  .meta({
    description: "A k3s cluster on machines of its own.",
    examples: [
      {
        name: "lab",
        version: "v1.34.3+k3s1",
        servers: [servers],
      },
    ],
  });

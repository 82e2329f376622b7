import { z } from "zod";
import { flag, httpUrl, text, whole } from "./primitives.ts";

const path = (description: string, example: string) =>
  text(
    /^(?!.*\/\.\.?(\/|$))(\/[A-Za-z0-9._+-]+)+$/,
    "an absolute path of letters, digits and ._+-",
    description,
    example,
  );

/** A file that every node needs, and where it comes from. */
export const artifact = (description: string) =>
  z
    .strictObject({
      from: z
        .enum(["release", "objectStore", "image"])
        .default("release")
        .meta({
          description:
            "release: the vendor's release, or url. objectStore: the stack's own. image: it is in the machines' base image.",
          examples: ["image"],
        }),
      sha256: text(
        /^[0-9a-f]{64}$/,
        "64 hexadecimal digits",
        "The digest it must have; default, for the vendor's release: what the checksum file beside it says.",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      ).optional(),
      url: httpUrl(
        "For release: another place than the vendor's; needs sha256.",
        "https://mirror.example.org/k3s/v1.34.3+k3s1/k3s",
      ).optional(),
      key: text(
        /^[A-Za-z0-9][A-Za-z0-9._+/-]{0,254}$/,
        "the key of an object",
        "For objectStore: the object's key in the stack's bucket; default: k3s/<version>/<file>.",
        "k3s/v1.34.3+k3s1/k3s",
      ).optional(),
      path: path(
        "For image: where it is in the machine; default: /usr/local/bin/k3s, or /usr/local/share/k3s/k3s-airgap-images.tar.zst.",
        "/usr/local/bin/k3s",
      ).optional(),
    })
    .meta({ description, examples: [{ from: "release" }] });

export const cni = z
  .enum(["vxlan", "wireguard-native", "host-gw", "none"])
  .default("vxlan")
  .meta({
    description:
      "flannel's backend, or none: you bring a network plug-in, and nodes are Ready with it.",
    examples: ["vxlan"],
  });

export const registries = z
  .record(z.string(), z.unknown())
  .optional()
  .meta({
    description: "What k3s reads as registries.yaml: mirrors and configs. A secret.",
    examples: [{ mirrors: { "docker.io": { endpoint: ["https://mirror.example.org"] } } }],
  });

const key = (description: string, example: string) =>
  text(/^[!-~]{3,256}$/, "3 to 256 visible characters", description, example);

const store = z
  .strictObject({
    endpoint: httpUrl(
      "URL of MinIO or another S3 service as the servers reach it; default: the stack's.",
      "https://s3.example.org",
    ).optional(),
    region: text(
      /^[a-z0-9-]+$/,
      "a region name",
      "Region to sign for; default: the stack's.",
      "us-east-1",
    ).optional(),
    bucket: text(
      /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
      "an S3 bucket name of 3 to 63 lower-case letters, digits, dots and hyphens",
      "A bucket that exists; default: the stack's.",
      "backups",
    ).optional(),
    folder: text(
      /^[A-Za-z0-9]([A-Za-z0-9._/-]{0,200}[A-Za-z0-9])?$/,
      "letters, digits and ._/-, with neither of these at the ends",
      "Where snapshots lie in the bucket; default: etcd/<stack>/<cluster>.",
      "etcd/lab/kube",
    ).optional(),
    accessKey: key(
      "Who may write there, with secretKey; default: what `up` itself has for the stack's store.",
      "kube-snapshots",
    ).optional(),
    secretKey: key("A secret.", "wJalrXUtnFEMI-K7MDENG").optional(),
  })
  .meta({
    description: "Where snapshots are copied to, in S3; default: they stay on the servers' disks.",
    examples: [{ bucket: "backups" }],
  });

export const snapshots = z
  .strictObject({
    schedule: text(
      /^(\S+ ){4}\S+$/,
      "five fields of cron",
      "When etcd is saved, as cron has it.",
      "0 */12 * * *",
    ).default("0 */12 * * *"),
    retention: whole(
      1,
      1000,
      "How many of those on schedule are kept: of each server on its disk, and of all together in the store.",
      5,
    ).default(5),
    store: store.optional(),
    restoreFrom: text(
      /^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/,
      "the name of a snapshot",
      "A snapshot in the store, from which the cluster begins where none of its servers has data.",
      "etcd-snapshot-cp1-1767225600",
    ).optional(),
  })
  .prefault({})
  .meta({ description: "Snapshots of etcd on every server.", examples: [{ retention: 5 }] });

export const upgrade = z
  .strictObject({
    maxUnavailable: whole(1, 99, "How many agents may be away at the same time.", 1).default(1),
    drainTimeoutSeconds: whole(10, 86_400, "How long pods may take to leave a node.", 300).default(
      300,
    ),
    nodeByNode: flag(
      true,
      "Machines that change in place, in size for one, do so one after the other, each drained before.",
    ),
  })
  .prefault({})
  .meta({
    description: "How nodes are upgraded, changed and removed.",
    examples: [{ maxUnavailable: 1 }],
  });

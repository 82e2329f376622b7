import type { Artifact } from "./arguments.ts";
import { k3sBinary } from "./node-files.ts";

/** A file to be put in place on a node, as the script takes it. */
export interface ArtifactOrder {
  name: string;
  /** How it is called in messages. */
  title: string;
  target: string;
  mode: string;
  /** A path in the machine, or a URL (a secret where it is signed). `$arch` stands for the machine's. */
  source: { kind: "path"; path: string } | { kind: "url"; url: string; host: string };
  /** The digest, or the checksum file that names it. */
  digest: { kind: "pinned"; sha256: string } | { kind: "listed"; url: string; file: string };
  /** Is another text when the file is to be another one. */
  want: string;
}

/** k3s names nothing for amd64. */
const suffix = "$suffix";

function releaseUrl(version: string, file: string): string {
  return `https://github.com/k3s-io/k3s/releases/download/${encodeURIComponent(version)}/${file}`;
}

function order(
  artifact: Artifact,
  version: string,
  file: { name: string; title: string; target: string; mode: string; released: string },
  presigned: string | undefined,
): ArtifactOrder {
  const { released, ...rest } = file;
  if (artifact.from === "image")
    return {
      ...rest,
      source: { kind: "path", path: artifact.path },
      digest: { kind: "pinned", sha256: artifact.sha256 },
      want: artifact.sha256,
    };
  const url =
    artifact.from === "objectStore"
      ? (presigned ?? "")
      : (artifact.url ?? releaseUrl(version, released));
  return {
    ...rest,
    source: { kind: "url", url, host: new URL(url).hostname },
    digest:
      artifact.sha256 === undefined
        ? { kind: "listed", url: releaseUrl(version, "sha256sum-$arch.txt"), file: released }
        : { kind: "pinned", sha256: artifact.sha256 },
    want: artifact.sha256 ?? `release ${version}`,
  };
}

/** What every node needs before it starts k3s. `presigned`: URLs for what is in the object store. */
export function listArtifacts(
  args: { version: string; binary: Artifact; airgapImages?: Artifact | undefined },
  presigned: { binary?: string | undefined; airgapImages?: string | undefined } = {},
): ArtifactOrder[] {
  const binary = order(
    args.binary,
    args.version,
    {
      name: "k3s",
      title: "the k3s binary",
      target: k3sBinary,
      mode: "0755",
      released: `k3s${suffix}`,
    },
    presigned.binary,
  );
  if (args.airgapImages === undefined) return [binary];
  const released = "k3s-airgap-images-$arch.tar.zst";
  const images = order(
    args.airgapImages,
    args.version,
    {
      name: "airgap-images",
      title: "the archive of k3s's images",
      target: "/var/lib/rancher/k3s/agent/images/k3s-airgap-images.tar.zst",
      mode: "0600",
      released,
    },
    presigned.airgapImages,
  );
  return [images, binary];
}

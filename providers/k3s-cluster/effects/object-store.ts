import { openObjectStore, readCredentials } from "../../image-volume/effects/object-store.ts";
import { renderSnapshotStore } from "../core/snapshots.ts";
import type { Artifact, ClusterArguments } from "../core/arguments.ts";

/** URLs of what nodes fetch from the stack's object store. Secrets. */
export async function presignArtifacts({
  binary,
  airgapImages,
}: Pick<ClusterArguments, "binary" | "airgapImages">): Promise<Record<string, string>> {
  const wanted: Record<string, Artifact | undefined> = { binary, airgapImages };
  const urls: Record<string, string> = {};
  for (const [name, artifact] of Object.entries(wanted))
    if (artifact?.from === "objectStore") {
      const { endpoint, region, bucket, key } = artifact;
      const store = openObjectStore(readCredentials(process.env));
      urls[name] = await store.presign({ endpoint, region, bucket, key });
    }
  return urls;
}

/** What servers are told of the place for their snapshots, and what of it nobody may see. */
export function snapshotSettings({
  snapshotStore: store,
}: Pick<ClusterArguments, "snapshotStore">): { content: string; secrets: string[] } | undefined {
  if (store === undefined) return undefined;
  const { accessKey, secretKey } = store;
  const credentials =
    accessKey !== undefined && secretKey !== undefined
      ? { accessKey, secretKey }
      : readCredentials(process.env);
  return {
    content: renderSnapshotStore(store, credentials),
    secrets: [credentials.secretKey],
  };
}

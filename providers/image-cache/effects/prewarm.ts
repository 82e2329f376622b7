import type { ImageReference } from "../../image-volume/core/arguments.ts";
import { forgetObservation, observeHost } from "../../image-volume/effects/hosts.ts";
import { readDigest } from "../../image-volume/effects/digests.ts";
import { ensureEntry, readHeader, readImageObject } from "../../image-volume/effects/images.ts";
import { describeImage } from "../../image-volume/effects/object-store.ts";

/** How an image stands with a host's cache. */
export interface CachedImage {
  digest: string;
  /** Whether the host had the image. */
  cache: "hit" | "miss";
  /** What has to be fetched: 0 for a hit, else the length of the object in the store. */
  bytesToFetch: number;
}

/**
 * Says whether a host's cache has an image and what fetching it costs; changes nothing. All who ask
 * within a few seconds share one look at the host and one question to the store.
 * @throws GroundworkError `host-unreachable`, `image-missing`, `image-without-checksum`, `bad-image`, …
 */
export async function examineImage(
  uri: string,
  image: ImageReference,
  options: { digest?: string | undefined; fresh?: boolean } = {},
): Promise<CachedImage> {
  const [host, digest] = await Promise.all([
    observeHost(uri, { fresh: options.fresh ?? false }),
    options.digest ?? readDigest(image).then((known) => known.digest),
  ]);
  if (host.cache.has(digest)) return { digest, cache: "hit", bytesToFetch: 0 };
  const { header, bytes } = await readImageObject(image);
  readHeader(header, bytes, image);
  return { digest, cache: "miss", bytesToFetch: bytes };
}

/**
 * Makes sure that a host's cache holds an image, so that no volume has to wait for it. Runs that
 * want the same image at once wait for one fetch.
 * @param options.digest the digest that was found before in the same run
 * @returns how it was before
 */
export async function prewarmImage(
  uri: string,
  image: ImageReference,
  options: { digest?: string | undefined } = {},
): Promise<CachedImage> {
  const examined = await examineImage(uri, image, { ...options, fresh: true });
  if (examined.cache === "hit") return examined;
  const { digest } = examined;
  await ensureEntry({ uri, image, digest, volumeName: describeImage(image) }).finally(() => {
    forgetObservation(uri);
  });
  return examined;
}

import { say } from "../../telemetry/effects/log.ts";
import type { ImageReference } from "../core/arguments.ts";
import { hasCode, imageError } from "../core/errors.ts";
import { type FormerDigest, type KnownDigest, urlKeyOf } from "../core/known-digest.ts";
import { readImageObject, shared, store } from "./images.ts";
import { describeImage } from "./object-store.ts";

/**
 * The digest that the image must have: pinned in the arguments, or told by its sidecar. Where there is
 * neither and `allowUnverified` is set, that of the object as it is, with a warning.
 * @param former what was known of the image before, so that an object that still is the same need not
 *   be read again
 * @throws GroundworkError `image-without-checksum`, `bad-sidecar`, `object-store-*`, …
 */
export async function readDigest(
  image: ImageReference,
  former?: FormerDigest,
): Promise<KnownDigest> {
  if (image.sha256 !== undefined) return { digest: image.sha256, source: "pinned" };
  try {
    const digest = await shared("sidecar", image, () => store().readSidecar(image));
    return { digest, source: "sidecar" };
  } catch (error) {
    if (image.allowUnverified !== true || !hasCode(error, "image-without-checksum")) throw error;
    return shared("unverified", image, () => readUnverified(image, former));
  }
}

/** Digests of unverified objects that this process has read, by their URL keys. */
const unverified = new Map<string, Promise<string>>();

async function readUnverified(
  image: ImageReference,
  former: FormerDigest = {},
): Promise<KnownDigest> {
  const urlKey = urlKeyOf(image, await readImageObject(image));
  if (former.urlKey === urlKey && former.digest !== undefined)
    unverified.set(urlKey, Promise.resolve(former.digest));
  const reading = unverified.get(urlKey) ?? hashUnverified(image, urlKey);
  unverified.set(urlKey, reading);
  reading.catch(() => unverified.delete(urlKey)); // whoever waits for it reports the failure
  const digest = await reading;
  say(
    `Warning: nothing vouches for image ${describeImage(image)}, which allowUnverified lets pass: it is taken as the store holds it, with the digest ${digest}.`,
  );
  return { digest, source: "url", urlKey };
}

async function hashUnverified(image: ImageReference, urlKey: string): Promise<string> {
  const { digest, ...object } = await store().hashImage(image);
  if (urlKeyOf(image, object) === urlKey) return digest;
  throw imageError(
    "image-changed",
    `Cannot tell the digest of image ${describeImage(image)}: it was replaced, or cut short, while it was read.`,
    { next: "Run the same command again." },
  );
}

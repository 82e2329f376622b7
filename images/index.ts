import { type GroundworkError } from "../providers/errors.ts";
import { objectOf } from "../providers/image-volume/core/base-image.ts";
import { formatBytes } from "../providers/image-volume/core/errors.ts";
import { imageError } from "./core/errors.ts";
import { type ImageRequest, type LocalImage, planImage, planPublication } from "./core/plan.ts";
import { ensureBuilt } from "./effects/build.ts";
import { hashFile, removeEntry } from "./effects/cache.ts";
import { ensureFetched } from "./effects/fetch.ts";
import { type ImageStore, openImageStore, type Store } from "./effects/store.ts";

export type { ImageRequest, Store };
export { compactImage } from "./effects/compact.ts";

export interface EnsureImageOptions {
  /** Groundwork's cache, outside the checkout; images lie in `<cache>/images`. */
  cache: string;
  store: Store;
  /** Takes a line of progress. */
  report: (line: string) => void;
}

/** What the store has now under the image's name, and what was done for it. */
export interface EnsuredImage {
  /** SHA-256 of the object. */
  digest: string;
  bytes: number;
  built: boolean;
  uploaded: boolean;
}

/**
 * Brings an image into the object store, as `<name>.<format>` with its checksum beside it: built from
 * Debian packages, downloaded and verified, or, with neither `build` nor `url`, found there. Does
 * nothing where it is there already; may be interrupted at any time and repeated.
 *
 * @throws GroundworkError with a code of {@link ImageCode}
 */
export async function ensureImage(
  image: ImageRequest,
  { cache, store: storeOptions, report }: EnsureImageOptions,
): Promise<EnsuredImage> {
  const plan = planImage(image);
  const store = openImageStore(storeOptions);
  if (plan.kind === "existing") return requirePublished(image, plan.sha256, store, storeOptions);
  const { image: local, built } =
    plan.kind === "build"
      ? await ensureBuilt(image.name, plan, cache, report)
      : { image: await ensureFetched(image, plan, cache, report), built: false };
  requireDigest(image.name, plan.sha256, local.digest);
  const uploaded = await publish(image, local, store, report);
  return { digest: local.digest, bytes: local.bytes, built, uploaded };
}

async function publish(
  image: ImageRequest,
  local: LocalImage,
  store: ImageStore,
  report: (line: string) => void,
): Promise<boolean> {
  const { name } = image;
  const { key } = objectOf(image);
  const steps = planPublication(local, await store.read(key));
  if (steps.includes("upload")) {
    await requireIntact(name, local);
    report(`${name}: uploading ${formatBytes(local.bytes)}`);
    await store.upload(key, local, sayProgress(name, local.bytes, report));
  }
  if (steps.includes("write-sidecar")) await store.writeSidecar(key, local.digest);
  return steps.includes("upload");
}

/** At most a line every two seconds. */
function sayProgress(
  name: string,
  bytes: number,
  report: (line: string) => void,
): (done: number) => void {
  let last = performance.now();
  return (done) => {
    if (performance.now() - last < 2000) return;
    last = performance.now();
    const percent = ((100 * done) / bytes).toFixed(0);
    report(`${name}: uploaded ${formatBytes(done)} of ${formatBytes(bytes)} (${percent} %)`);
  };
}

/** A file that a crash or a failing disk has changed must not be published under its old digest. */
async function requireIntact(name: string, local: LocalImage): Promise<void> {
  const digest = await hashFile(local.path);
  if (digest === local.digest) return;
  await removeEntry(local);
  throw imageError(
    "image-digest-mismatch",
    `Image "${name}" in the cache is damaged: ${local.path} has sha256 ${digest} and not ${local.digest}. It was removed.`,
    { next: "Run the same command again; the image is made anew." },
  );
}

async function requirePublished(
  image: ImageRequest,
  pinned: string | undefined,
  store: ImageStore,
  { endpoint, bucket }: Store,
): Promise<EnsuredImage> {
  const { name } = image;
  const { key } = objectOf(image);
  const { object, sidecar } = await store.read(key);
  const digest = sidecar ?? pinned;
  if (object === undefined)
    throw imageError(
      "image-missing",
      `Image "${name}" has neither build nor url, and there is no ${key} in bucket "${bucket}" of ${endpoint}.`,
      {
        next: `Upload ${key} and the output of \`sha256sum\` as ${key}.sha256, or give it build or url.`,
      },
    );
  if (digest === undefined)
    throw imageError(
      "image-without-checksum",
      `Image "${name}" in bucket "${bucket}" of ${endpoint} has no ${key}.sha256 beside it and no sha256 in the configuration.`,
      { next: `Upload the output of \`sha256sum\` as ${key}.sha256, or set sha256.` },
    );
  requireDigest(name, pinned, digest);
  return { digest, bytes: object.bytes, built: false, uploaded: false };
}

function requireDigest(name: string, pinned: string | undefined, digest: string): void {
  if (pinned === undefined || pinned === digest) return;
  throw digestError(name, pinned, digest);
}

function digestError(name: string, pinned: string, digest: string): GroundworkError {
  return imageError(
    "image-digest-mismatch",
    `Image "${name}" has sha256 ${digest}, and the configuration wants ${pinned}.`,
    { next: "Correct sha256, or remove it to take what there is." },
  );
}

import { createHash } from "node:crypto";
import type { ImageReference } from "./arguments.ts";

/** The digest of an image, and who told it. */
export interface KnownDigest {
  /** SHA-256 of the object, in 64 hexadecimal digits. */
  digest: string;
  /**
   * `pinned` in the configuration; told by the `sidecar`; `url`: nothing vouches for it, it is that of
   * what the store held when it was asked.
   */
  source: "pinned" | "sidecar" | "url";
  /** For `url`: which object that was, see {@link urlKeyOf}. */
  urlKey?: string;
}

/** What was known of an image before; of no use unless both are there. */
export type FormerDigest = Pick<Partial<KnownDigest>, "digest" | "urlKey">;

/**
 * Names an object as the store describes it: SHA-256 of its URL, ETag and length. An object with
 * another key has been replaced, or is another one.
 */
export function urlKeyOf(
  { endpoint, bucket, key }: Pick<ImageReference, "endpoint" | "bucket" | "key">,
  { etag, bytes }: { etag: string; bytes: number },
): string {
  const told = JSON.stringify([endpoint, bucket, key, etag, bytes]);
  return createHash("sha256").update(told).digest("hex");
}

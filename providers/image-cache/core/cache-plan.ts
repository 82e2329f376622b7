import type { ImageReference } from "../../image-volume/core/arguments.ts";

/** How one image stands with one host's cache. */
export interface CachePlanRow {
  /** The host's libvirt URI. */
  hypervisorUri: string;
  /** Where it is, without anything secret: `<endpoint>/<bucket>/<key>`. */
  image: string;
  /** `unknown`: the host or the store did not answer, which preview says in a warning. */
  cache: "hit" | "miss" | "unknown";
  /** SHA-256 in 64 hexadecimal digits; absent where nobody could tell. */
  digest?: string;
  /** Bytes that the host will fetch; absent where nobody could tell. */
  bytesToFetch?: number;
}

/** The arguments whose change, or whose loss on a host, makes an update. */
export type CacheDifference = "hypervisorUris" | "images" | "plan";

/**
 * What is to be done: other hosts or images are looked after, and what left a cache is fetched
 * again. Nothing is ever replaced. Where the answer is unknown nothing is done.
 */
export function diffCache(
  olds: Record<string, unknown>,
  news: Record<string, unknown>,
  same: (one: unknown, other: unknown) => boolean,
): CacheDifference[] {
  const rows = (news["plan"] ?? []) as CachePlanRow[];
  const changed = (["hypervisorUris", "images"] as const).filter(
    (key) => !same(olds[key], news[key]),
  );
  return rows.some(({ cache }) => cache === "miss") ? [...changed, "plan"] : changed;
}

/** How the rows name an image. */
export function locateImage({ endpoint, bucket, key }: ImageReference): string {
  return `${endpoint.replace(/\/$/, "")}/${bucket}/${key}`;
}

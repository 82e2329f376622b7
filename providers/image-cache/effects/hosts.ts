import { say } from "../../telemetry/effects/log.ts";
import { GroundworkError } from "../../errors.ts";
import type { ImageReference } from "../../image-volume/core/arguments.ts";
import { hasCode } from "../../image-volume/core/errors.ts";
import type { ImageCacheArguments } from "../core/arguments.ts";
import { type CachePlanRow, locateImage } from "../core/cache-plan.ts";
import { examineImage, prewarmImage } from "./prewarm.ts";

/** Where nobody answers, a preview goes on without knowing; an answer that is an error ends it. */
const unreachable = [
  ...["host-unreachable", "host-connection-lost", "command-timed-out"],
  "object-store-unreachable",
];

/**
 * Says of every image and host whether it is there and what fetching it costs; changes nothing.
 * One look at each host and one question of each image to the store, however many pairs there are.
 */
export function examineHosts({
  hypervisorUris,
  images,
}: ImageCacheArguments): Promise<CachePlanRow[]> {
  const pairs = hypervisorUris.flatMap((uri) => images.map((image) => [uri, image] as const));
  return Promise.all(pairs.map(([uri, image]) => examineRow(uri, image)));
}

async function examineRow(hypervisorUri: string, image: ImageReference): Promise<CachePlanRow> {
  const row = { hypervisorUri, image: locateImage(image) };
  try {
    return { ...row, ...(await examineImage(hypervisorUri, image)) };
  } catch (error) {
    if (!hasCode(error, ...unreachable)) throw error;
    say(`${row.image}: whether the cache has it is unknown. ${error.message}`);
    return { ...row, cache: "unknown", ...(image.sha256 && { digest: image.sha256 }) };
  }
}

/**
 * Makes sure that every host has every image: the hosts at once, the images of a host in turn. A host
 * that fails leaves the others alone, and what they have fetched stays.
 * @param digestOf the digest that preview found for an image, so that both mean the same one
 * @throws GroundworkError `images-not-cached` once all have ended, with every host's reason
 */
export async function ensureHosts(
  { hypervisorUris, images }: ImageCacheArguments,
  digestOf: (image: ImageReference) => string | undefined,
): Promise<void> {
  const results = await Promise.allSettled(
    hypervisorUris.map(async (uri) => {
      for (const image of images) await prewarmImage(uri, image, { digest: digestOf(image) });
    }),
  );
  const reasons = results.flatMap((result) =>
    result.status === "rejected" ? [result.reason as Error] : [],
  );
  const unforeseen = reasons.find((reason) => !(reason instanceof GroundworkError));
  if (unforeseen !== undefined) throw unforeseen;
  if (reasons.length === 0) return;
  const count = `${String(reasons.length)} of ${String(results.length)} hypervisors`;
  throw new GroundworkError({
    code: "images-not-cached",
    message: `Cannot fetch the images to ${count}: ${reasons.map(({ message }) => message).join(" ")}`,
    next: "The others have theirs. Run the same command again once that is mended.",
    cause: reasons[0],
  });
}

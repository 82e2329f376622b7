import type { KnownDigest } from "./known-digest.ts";
import { estimateSeconds } from "./rates.ts";
import { type DesiredVolume, type Observed, type Plan, plan, type Step } from "./plan.ts";

/** What preview shows of a plan; kept in the inputs as `plan`. */
export interface PlanSummary {
  /** Whether the host has the image, in its cache or as a golden volume; `unknown` when it could not be asked, `none` without an image. */
  cache: "hit" | "miss" | "unknown" | "none";
  digest?: string;
  /**
   * How the digest is known: from the configuration, from the object's `.sha256`, or, where
   * `allowUnverified` lets it, from what the store holds under the URL.
   */
  digestSource: KnownDigest["source"] | "none" | "unknown";
  /** For `url`: SHA-256 of URL, ETag and length of the object whose digest this is. */
  urlKey?: string;
  /** Bytes that the host will fetch from the object store. */
  bytesToFetch?: number;
  /** Bytes of the volume that will get new content, zeroes included. */
  bytesToWrite?: number;
  /** How long it will take, by what this host has measured of earlier runs; none without such. */
  estimateSeconds?: number;
  /** What will be done, in order. */
  steps?: Step["kind"][];
  /** What stands in the way at the moment and may be gone when its turn comes. */
  obstacle?: string;
}

/** How a plan's digest is known. */
export type Provenance = Pick<PlanSummary, "digestSource" | "urlKey">;

/** The summary of a plan, for preview. */
export function buildSummary(
  planned: Plan,
  desired: DesiredVolume,
  observed: Observed,
  provenance: Provenance,
): PlanSummary {
  const golden = planned.kind === "steps" && planned.steps[0]?.kind === "cloneGolden";
  const hit = golden || observed.cachedBytes !== undefined;
  const cache = desired.image === undefined ? "none" : hit ? "hit" : "miss";
  const common: PlanSummary = {
    cache,
    ...(desired.image && { digest: desired.image.digest }),
    ...provenance,
  };
  if (planned.kind === "refusal") return { ...common, obstacle: planned.refusal.reason };
  const { steps } = planned;
  const imageBytes = observed.cachedBytes ?? desired.image?.bytes ?? 0;
  const estimate = estimateSeconds(steps, observed.rates, imageBytes);
  return {
    ...common,
    ...(estimate !== undefined && { estimateSeconds: estimate }),
    bytesToFetch: sum(steps, (step) => (step.kind === "fetchImage" ? step.bytes : 0)),
    bytesToWrite: sum(steps, bytesWritten),
    steps: steps.map((step) => step.kind),
  };
}

/** What the summary is once the plan has been carried out: nothing is left to do. */
export function buildSettledSummary(
  desired: DesiredVolume,
  observed: Observed,
  provenance: Provenance,
): PlanSummary {
  return buildSummary(plan(desired, observed), desired, observed, provenance);
}

function bytesWritten(step: Step): number {
  if (step.kind === "makeGolden") return step.bytes;
  if (step.kind === "growVolume") return step.toBytes - step.fromBytes;
  // What populateVolume and zeroTail write together is the whole volume.
  return step.kind === "zeroTail" || step.kind === "zeroVolume" ? step.toBytes : 0;
}

function sum(steps: readonly Step[], bytes: (step: Step) => number): number {
  return steps.reduce((total, step) => total + bytes(step), 0);
}

/** How an image's digest is known, as far as its arguments tell. */
export function provenanceOf(
  image: { sha256?: string | undefined; allowUnverified?: boolean | undefined } | undefined,
  known?: KnownDigest,
): Provenance {
  if (image === undefined) return { digestSource: "none" };
  if (known !== undefined)
    return {
      digestSource: known.source,
      ...(known.urlKey !== undefined && { urlKey: known.urlKey }),
    };
  if (image.sha256 !== undefined) return { digestSource: "pinned" };
  return { digestSource: image.allowUnverified === true ? "unknown" : "sidecar" };
}

import type { PlanSummary } from "./summary.ts";
import type { Step } from "./plan.ts";

/** A step that a run has carried out. */
export interface StepOutcome {
  step: Step["kind"];
  seconds: number;
  /** From the network for `fetchImage`, onto the volume for the others; zeroes included. */
  bytes: number;
}

/** What really happened when the volume's content was last written; the counterpart of `plan`. */
export interface PopulateOutcome {
  /** When it ended, in ISO 8601, by the clock of the machine that runs Pulumi. */
  at: string;
  /** `miss`: this volume's run fetched the image; one that waited for another's fetch has a `hit`. */
  cache: Exclude<PlanSummary["cache"], "unknown">;
  /** In the order in which they were done. */
  steps: StepOutcome[];
  /** Bytes that came over the network, those of broken attempts included. */
  bytesFetched: number;
  /** Bytes of the volume, or of a golden volume made for it, that got new content, zeroes included. */
  bytesWritten: number;
}

/**
 * The outcome of steps that were carried out; `undefined` when none of them wrote the volume's
 * content, so that an earlier outcome stays.
 */
export function buildOutcome(
  at: Date,
  withImage: boolean,
  steps: readonly StepOutcome[],
): PopulateOutcome | undefined {
  if (!steps.some(({ step }) => ["populateVolume", "zeroVolume", "cloneGolden"].includes(step)))
    return undefined;
  const sum = (those: readonly StepOutcome[]): number =>
    those.reduce((total, { bytes }) => total + bytes, 0);
  const fetches = steps.filter(({ step }) => step === "fetchImage");
  return {
    at: at.toISOString(),
    cache: !withImage ? "none" : fetches.length > 0 ? "miss" : "hit",
    steps: [...steps],
    bytesFetched: sum(fetches),
    bytesWritten: sum(steps.filter((outcome) => !fetches.includes(outcome))),
  };
}

/** How many bytes of the volume a step writes, given the size of the image's disk. */
export function bytesOfStep(step: Step, virtualBytes: number): number {
  switch (step.kind) {
    case "populateVolume":
    case "makeGolden":
      return virtualBytes;
    case "zeroTail":
      return step.toBytes - virtualBytes;
    case "zeroVolume":
      return step.toBytes;
    case "growVolume":
      return step.toBytes - step.fromBytes;
    default:
      return 0;
  }
}

/** Reads what `gw_took` noted: `STEP:MILLISECONDS:BYTES` words. Others are left out. */
export function parseStepOutcomes(noted: string | undefined): StepOutcome[] {
  return (noted ?? "").split(" ").flatMap((word) => {
    const [, step, milliseconds, bytes] =
      /^([a-zA-Z]+):([0-9]{1,12}):([0-9]{1,15})$/.exec(word) ?? [];
    if (step === undefined) return [];
    const [seconds, written] = [Number(milliseconds) / 1000, Number(bytes)];
    return [{ step: step as Step["kind"], seconds, bytes: written }];
  });
}

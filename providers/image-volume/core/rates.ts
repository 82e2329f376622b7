import type { Step } from "./plan.ts";

/** What a host has measured of a step: so much took so long. */
export interface Rate {
  milliseconds: number;
  /** In the unit of `amountOf`. */
  amount: number;
}

/** Of these a plan without a measurement has no estimate; the others hardly count. */
const heavy: readonly Step["kind"][] = [
  ...(["fetchImage", "makeGolden", "populateVolume", "zeroVolume"] as const),
];

/**
 * What the time of a step grows with: bytes, of the image's file where it is decoded, since that is
 * known before the disk in it is; 1 where it does not grow.
 */
export function amountOf(step: Step, imageBytes: number): number {
  switch (step.kind) {
    case "fetchImage":
      return step.bytes;
    case "populateVolume":
    case "makeGolden":
      return imageBytes;
    case "zeroVolume":
      return step.toBytes;
    case "growVolume":
      return step.toBytes - step.fromBytes;
    default:
      return 1;
  }
}

/**
 * How long a plan will take, in seconds, by what its host has measured of earlier ones; undefined where
 * it has not measured a step that counts.
 */
export function estimateSeconds(
  steps: readonly Step[],
  rates: ReadonlyMap<string, Rate>,
  imageBytes: number,
): number | undefined {
  if (steps.some(({ kind }) => heavy.includes(kind) && !rates.has(kind))) return undefined;
  if (!steps.some(({ kind }) => rates.has(kind))) return undefined;
  const milliseconds = new Map<Step["kind"], number>();
  for (const step of steps) {
    const rate = rates.get(step.kind);
    const taken =
      rate === undefined ? 0 : (amountOf(step, imageBytes) * rate.milliseconds) / rate.amount;
    milliseconds.set(step.kind, (milliseconds.get(step.kind) ?? 0) + taken);
  }
  const [fetch = 0, populate = 0] = (["fetchImage", "populateVolume"] as const).map((kind) =>
    milliseconds.get(kind),
  );
  // A new volume is written while its image is fetched.
  const atOnce = milliseconds.has("createVolume") ? Math.min(fetch, populate) : 0;
  const sum = [...milliseconds.values()].reduce((all, each) => all + each, 0) - atOnce;
  return Math.round(sum / 100) / 10;
}

/** Reads lines `STEP MILLISECONDS AMOUNT`; others are left out. */
export function parseRates(lines: readonly string[]): Map<string, Rate> {
  return new Map(
    lines.flatMap((line): [string, Rate][] => {
      const [, step, milliseconds, amount] =
        /^([a-zA-Z]{1,40}) ([0-9]{1,12}) ([0-9]{1,16}(?:\.[0-9]{1,2})?)$/.exec(line) ?? [];
      if (step === undefined || Number(amount) === 0) return [];
      return [[step, { milliseconds: Number(milliseconds), amount: Number(amount) }]];
    }),
  );
}

import { contentSteps, isContent, stopSteps } from "./content.ts";
import { buildTags, type VolumeMarks } from "./layout.ts";
import type { ObservedVolume } from "./parsers.ts";
import {
  type DesiredVolume,
  describeOwner,
  isOurs,
  type Observed,
  type Plan,
  plan,
  refuse,
  refuseInUse,
  shapeSteps,
  type Step,
} from "./plan.ts";

/**
 * A volume can have two companions: `<volume>.next`, onto which new content is written while the
 * volume is in use, and `<volume>.previous`, which it was until its content was replaced. What they are
 * stands in their tags (`role`), so that a run that was interrupted between two renames is understood.
 */
export const companions = { next: ".next", previous: ".previous" } as const;

/** A companion, under the name that it has at the moment. */
export interface Companion {
  name: string;
  volume: ObservedVolume;
}

/**
 * Finds a volume's companions among the volumes of its group. A previous one may still have the name of
 * the next one, when the run that put it aside was interrupted.
 */
export function findCompanions(
  find: (name: string) => ObservedVolume | undefined,
  volumeName: string,
): Pick<Observed, "next" | "previous" | "inTheWay"> {
  const there = [companions.previous, companions.next].flatMap((suffix): Companion[] => {
    const name = `${volumeName}${suffix}`;
    const volume = find(name);
    return volume === undefined ? [] : [{ name, volume }];
  });
  const withRole = (role: VolumeMarks["role"]): Companion | undefined =>
    there.find(({ volume }) => volume.marks.role === role);
  const [next, previous] = [withRole("next"), withRole("previous")];
  const other = there.find((each) => each !== next && each !== previous);
  return {
    ...(next && { next }),
    ...(previous && { previous }),
    ...(other && { inTheWay: other }),
  };
}

/**
 * Plans content that is not written onto the volume itself; `undefined` where that is not wanted, or
 * nothing has to be written.
 */
export function planReplacement(
  desired: DesiredVolume,
  observed: Observed,
  targetBytes: number,
): Plan | undefined {
  const { volume, next, previous } = observed;
  const gone = (companion?: Companion): Step[] =>
    companion === undefined ? [] : [{ kind: "removeCompanion", name: companion.name }];
  const starts = (stop: readonly Step[]): Step[] =>
    stop.length > 0 ||
    [volume, next?.volume, previous?.volume].some((each) => each?.marks.stopped !== undefined)
      ? [{ kind: "startDomains" }]
      : [];
  if (volume === undefined) {
    // A run was interrupted between two renames.
    const aside = observed.inTheWay?.volume.marks.role === "previous";
    if (previous && (aside || fits(desired, previous)))
      return steps([{ kind: "restorePrevious" }, ...starts([])]);
    if (next && fits(desired, next)) return steps([{ kind: "switchVolume" }, ...starts([])]);
    return undefined;
  }
  if (isOurs(desired, volume) && isUnsettled(desired, observed))
    return steps([{ kind: "settleCompanions" }]);
  if (desired.strategy === "inPlace" && !desired.keepPrevious) return undefined;
  if (contentSteps(desired, observed, targetBytes).length === 0) return undefined;
  if (volume.marks.state === undefined && next === undefined) return undefined; // nothing to keep
  if (volume.marks.owner !== desired.owner)
    return steps(shapeSteps(desired, volume, volume.sizeBytes));
  const blocked = refuseForeign(desired, observed);
  if (blocked !== undefined) return blocked;
  const stop = stopSteps(desired, volume);
  if (stop === undefined) return refuseInUse("replaced", volume);
  // What makes place now is the previous one then.
  const after: Step[] = desired.keepPrevious
    ? []
    : [{ kind: "removeCompanion", name: `${desired.volumeName}${companions.previous}` }];
  if (previous && fits(desired, previous))
    return steps([...gone(next), ...stop, { kind: "restorePrevious" }, ...starts(stop), ...after]);
  const built = next && fits(desired, next) ? steps([]) : planNext(desired, observed);
  if (built.kind === "refusal") return built;
  return steps([
    ...built.steps,
    ...gone(previous),
    ...stop,
    { kind: "switchVolume" },
    ...starts(stop),
    ...after,
  ]);
}

/** Whether a run was interrupted before names and tags said the same. */
function isUnsettled({ role }: DesiredVolume, { volume, next, previous }: Observed): boolean {
  return (
    volume?.marks.role !== role ||
    [next, previous].some((each) => each?.volume.marks.stopped !== undefined) ||
    previous?.name.endsWith(companions.previous) === false
  );
}

/** A part of a plan that one script carries out. */
export interface Phase {
  kind: "apply" | "switch" | "remove";
  volumeName: string;
  seen: ObservedVolume | undefined;
  steps: Step[];
}

const switchKinds: readonly Step["kind"][] = [
  ...([
    "stopDomains",
    "switchVolume",
    "restorePrevious",
    "settleCompanions",
    "startDomains",
  ] as const),
];

/** The first part of a plan. What comes after it is planned again, from what is there then. */
export function firstPhase(
  desired: DesiredVolume,
  observed: Observed,
  all: readonly Step[],
): Phase {
  const { volumeName } = desired;
  const { volume, next, previous } = observed;
  const isSwitch = all.some(({ kind }) =>
    ["switchVolume", "restorePrevious", "settleCompanions"].includes(kind),
  );
  const until = (ends: (step: Step) => boolean): Step[] => {
    const end = all.findIndex(ends);
    return all.slice(0, end === -1 ? all.length : end);
  };
  const first = all[0];
  if (first?.kind === "removeCompanion") {
    const seen = [next, previous].find((each) => each?.name === first.name)?.volume;
    return { kind: "remove", volumeName: first.name, seen, steps: [first] };
  }
  const written = until(
    ({ kind }) => kind === "removeCompanion" || (isSwitch && switchKinds.includes(kind)),
  );
  if (isSwitch && written.length === 0)
    return {
      ...{ kind: "switch", volumeName, seen: volume },
      steps: until(({ kind }) => !switchKinds.includes(kind)),
    };
  if (isSwitch)
    return {
      ...{ kind: "apply", volumeName: `${volumeName}${companions.next}`, seen: next?.volume },
      steps: written,
    };
  return { kind: "apply", volumeName, seen: volume, steps: written };
}

/** What is left to do when the volume itself is as it should be. */
export function tidySteps(desired: DesiredVolume, { next, previous }: Observed): Step[] {
  const [unused, former] = [next, previous].map((companion) =>
    companion && isOurs(desired, companion.volume) ? companion : undefined,
  );
  const gone = [unused, ...(desired.keepPrevious ? [] : [former])];
  const removals = gone.flatMap((companion): Step[] =>
    companion === undefined ? [] : [{ kind: "removeCompanion", name: companion.name }],
  );
  return removals;
}

/** The next volume is planned as any other that is to be there. */
function planNext(desired: DesiredVolume, observed: Observed): Plan {
  const { volume, next, previous, ...rest } = observed;
  const planned = plan(
    {
      ...desired,
      ...{ volumeName: `${desired.volumeName}${companions.next}`, adopt: false },
      ...{ strategy: "inPlace", keepPrevious: false, role: "next" },
      // Another number than either volume's has been, so that the content has a name of its own.
      formerWrites: Math.max(volume?.marks.writes ?? 0, previous?.volume.marks.writes ?? 0),
    },
    { ...rest, ...(next && { volume: next.volume }) },
  );
  if (planned.kind === "steps" || planned.refusal.code !== "volume-group-full") return planned;
  const { refusal } = planned;
  return {
    kind: "refusal",
    refusal: { ...refusal, reason: `${refusal.reason} beside the volume as it is` },
  };
}

function refuseForeign(desired: DesiredVolume, observed: Observed): Plan | undefined {
  const { inTheWay, next, previous } = observed;
  const foreign =
    inTheWay ?? [next, previous].find((each) => each && !isOurs(desired, each.volume));
  if (foreign === undefined) return undefined;
  return refuse(
    "volume-not-ours",
    `"${foreign.name}" exists beside it and ${describeOwner(foreign.volume.marks)}`,
    {
      next: "Rename or remove that one, or set strategy to inPlace and keepPrevious to false.",
    },
  );
}

function fits(desired: DesiredVolume, { volume }: Companion): boolean {
  return isOurs(desired, volume) && isContent(desired, volume.marks);
}

function steps(all: Step[]): Plan {
  return { kind: "steps", steps: all };
}

/** The tags of a volume that is made to stand in for another. */
export function roleTags({ role }: Pick<DesiredVolume, "role">): string[] {
  return buildTags({ ...(role && { role }) });
}

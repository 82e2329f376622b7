import { buildTags, contentId, isOwnTag, parseTags, type VolumeMarks } from "./layout.ts";
import type { ObservedVolume } from "./parsers.ts";
import { type DesiredVolume, isOurs, type Observed, type Plan, type Step } from "./plan.ts";

/** What is on the volume: nothing to do when its tags say that it is there, or it is taken over. */
export function contentSteps(
  desired: DesiredVolume,
  observed: Observed,
  targetBytes: number,
): Step[] {
  const { volume } = observed;
  const { image, owner, generation, formerWrites = 0 } = desired;
  if (volume !== undefined && !isOurs(desired, volume)) return [];
  if (volume !== undefined && isContent(desired, volume.marks)) return [];
  const { role, writes = 0, stopped = [] } = volume?.marks ?? {};
  // These outlive the content: whose it is, what it is for, what is to be started, how often it has
  // been written.
  const lasting = [
    ...buildTags({ ...(role && { role }) }),
    ...buildTags({ owner: volume?.marks.owner ?? owner, writes, stopped }),
  ];
  const stale = (volume?.tags ?? []).filter((tag) => isOwnTag(tag) && !lasting.includes(tag));
  return [
    ...(stale.length > 0 ? [{ kind: "unmarkVolume" as const, removeTags: stale }] : []),
    ...(image === undefined
      ? [{ kind: "zeroVolume" as const, toBytes: targetBytes }]
      : [
          { kind: "populateVolume" as const, digest: image.digest },
          { kind: "zeroTail" as const, toBytes: targetBytes },
        ]),
    {
      kind: "markPopulated",
      addTags: buildTags({
        state: "populated",
        ...(image && { digest: image.digest }),
        generation,
        writes: Math.max(writes, formerWrites) + 1,
      }),
      removeTags: buildTags({ writes }).filter((tag) => volume?.tags.includes(tag) ?? false),
    },
  ];
}

/** Whether these are the marks of a volume with the content that is wanted. */
export function isContent({ image, generation }: DesiredVolume, marks: VolumeMarks): boolean {
  const { state, digest, generation: seen = 0 } = marks;
  return state !== undefined && digest === image?.digest && seen === generation;
}

/** How a volume that is to be written gets free; `undefined` when it must not be taken. */
export function stopSteps(
  desired: DesiredVolume,
  volume: ObservedVolume | undefined,
): Extract<Step, { kind: "stopDomains" }>[] | undefined {
  const users = volume?.users ?? [];
  if (users.length === 0) return [];
  const domains = users.flatMap(({ domain }) => (domain === undefined ? [] : [domain]));
  if (!desired.allowStop || domains.length < users.length) return undefined;
  const { shutdownTimeoutSeconds: timeoutSeconds, startAgain } = desired;
  return [{ kind: "stopDomains", domains: [...new Set(domains)], timeoutSeconds, startAgain }];
}

/** The `contentId` of the volume once the plan is carried out. */
export function plannedContentId(planned: Plan, observed: Observed): string | undefined {
  if (planned.kind === "refusal") return undefined;
  const mark = planned.steps.find(
    (step) => step.kind === "markPopulated" || step.kind === "cloneGolden",
  );
  if (mark !== undefined) return contentId(parseTags(mark.addTags));
  const has = (kind: Step["kind"]): boolean => planned.steps.some((step) => step.kind === kind);
  const { volume, next, previous } = observed;
  const source = has("switchVolume")
    ? next?.volume
    : has("restorePrevious")
      ? previous?.volume
      : volume;
  return contentId(source?.marks ?? {});
}

import type { PlanSummary } from "./summary.ts";
import type { ImageVolumeArguments } from "./arguments.ts";

/** The arguments as state and configuration hold them; parts may not be known yet. */
export type Comparable = {
  [Key in keyof ImageVolumeArguments]?: unknown;
} & {
  digest?: unknown;
  plan?: unknown;
  foreignOwner?: unknown;
  provisionedAs?: unknown;
  pool?: unknown;
};

export interface Difference {
  /** Arguments whose change needs another volume. */
  replaces: string[];
  /** Arguments whose change is made on the volume as it is. */
  updates: string[];
}

/** How a URI names its host, which is what decides where the volume is. */
export type HostOf = (uri: string) => string;

/**
 * What becomes of each argument's change:
 *
 * - `hypervisorUri`: replaces when it names another host; another user, key or socket is an update
 *   that moves nothing
 * - `volumeGroup`, `volumeName`: replace
 * - `provisioning`, `thinPool`: replace when the volume is not so already
 * - `sizeGiB`: grows in place (a smaller one is refused by the plan)
 * - `image`: repopulates in place when the digest changes; the same image elsewhere is ignored
 * - `owner`: retags in place
 * - `generation`: writes the content anew in place
 * - `wipe`: recorded, for the removal reads it from the state
 * - `keepPrevious`: what is kept goes once it is false
 * - `adopt`, `allowStop`, `shutdownTimeoutSeconds`, `startAgain`, `strategy`, `cacheEncoding`, `plan`: ignored
 *
 * @param olds the outputs of the last run or refresh, with the `digest` that is on the volume, and
 *   the `foreignOwner` that a refresh found on it instead of ours
 * @param news the new inputs, with the `plan` that `check` made
 */
export function diffVolume(
  olds: Comparable,
  news: Comparable,
  hostOf: HostOf,
  same: (one: unknown, other: unknown) => boolean,
): Difference {
  const replaces: string[] = [];
  const updates: string[] = [];
  if (olds.hypervisorUri !== news.hypervisorUri)
    (sameHost(olds.hypervisorUri, news.hypervisorUri, hostOf) ? updates : replaces).push(
      "hypervisorUri",
    );
  for (const key of ["volumeGroup", "volumeName"] as const)
    if (olds[key] !== news[key]) replaces.push(key);
  // What is not said may be either, so only what differs from how the volume is counts.
  const { provisionedAs, pool } = olds;
  if (provisionedAs !== undefined && differs(provisionedAs, news.provisioning))
    replaces.push("provisioning");
  else if (provisionedAs !== undefined && differs(pool, news.thinPool)) replaces.push("thinPool");
  // A growth that broke off has left its mark, though its size may be wished no more.
  const grows = (news.plan as Partial<PlanSummary> | undefined)?.steps?.includes("growVolume");
  if (olds.sizeGiB !== news.sizeGiB || grows === true) updates.push("sizeGiB");
  if (olds.owner !== news.owner || olds.foreignOwner !== undefined) updates.push("owner");
  if (imageChanged(olds, news, same)) updates.push("image");
  if ((olds.generation ?? 0) !== (news.generation ?? 0)) updates.push("generation");
  if ((olds.wipe ?? "zero") !== (news.wipe ?? "zero")) updates.push("wipe");
  if ((olds.keepPrevious ?? false) !== (news.keepPrevious ?? false)) updates.push("keepPrevious");
  return { replaces, updates };
}

function differs(is: unknown, wanted: unknown): boolean {
  return wanted !== undefined && is !== wanted;
}

function sameHost(one: unknown, other: unknown, hostOf: HostOf): boolean {
  return typeof one === "string" && typeof other === "string" && hostOf(one) === hostOf(other);
}

function imageChanged(
  olds: Comparable,
  news: Comparable,
  same: (one: unknown, other: unknown) => boolean,
): boolean {
  if (news.image === undefined || olds.image === undefined) return news.image !== olds.image;
  const wanted = (news.plan as PlanSummary | undefined)?.digest;
  if (wanted !== undefined) return wanted !== olds.digest;
  // Nobody could say what the object is now: what is configured decides.
  return olds.digest === undefined || !same(olds.image, news.image);
}

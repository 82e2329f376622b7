import type { ImageVolumeCode } from "./errors.ts";
import { formatBytes } from "./errors.ts";
import { buildTags, isOwnTag, type VolumeMarks } from "./layout.ts";
import type { Strategy } from "./arguments.ts";
import type { Rate } from "./rates.ts";
import { contentSteps, stopSteps } from "./content.ts";
import type { HostObservation, ObservedVolume } from "./parsers.ts";
import { type Companion, findCompanions, planReplacement, roleTags, tidySteps } from "./replace.ts";
import { goldenName, isGolden, type ObservedPool, type PlacementWish } from "./thin.ts";
import { planSpace, thinSteps } from "./thin-plan.ts";

/** What a volume shall be. */
export interface DesiredVolume extends PlacementWish {
  volumeName: string;
  sizeBytes: number;
  owner: string;
  /** What `owner` was until now: a volume with this tag is ours too, and is retagged. */
  formerOwner?: string;
  /** Whether a volume that is not ours may be taken over as it is. */
  adopt: boolean;
  /** Another one than the volume's asks for its content anew. */
  generation: number;
  /** Whether domains may be stopped that have it open when its content is to be written. */
  allowStop: boolean;
  /** How long such a domain may take to shut down before it is switched off. */
  shutdownTimeoutSeconds: number;
  /** Whether such domains are started again. */
  startAgain: boolean;
  /** `replace`: new content is written beside the volume while that is in use, and then takes its place. */
  strategy: Strategy;
  /** Whether what the volume was stays beside it, as long as nothing else is to be kept. */
  keepPrevious: boolean;
  /** `next`: it is to take another's place. */
  role?: "next";
  /** How often the content of the volume has been written whose place it is to take. */
  formerWrites?: number;
  /** None: a volume of zeroes. `bytes` and `virtualBytes` are there once they are known. */
  image?: { digest: string; bytes?: number; virtualBytes?: number };
}

/** What is there now, on one host, of what concerns one volume. */
export interface Observed {
  group?: { extentBytes: number; freeBytes: number };
  volume?: ObservedVolume;
  /** What is to take the volume's place. */
  next?: Companion;
  /** What the volume was before. */
  previous?: Companion;
  /** A volume that has the name of one of these and is neither. */
  inTheWay?: Companion;
  /** The group's thin pools, with the image's golden volume where one is complete. */
  pools?: readonly (ObservedPool & { golden?: ObservedVolume })[];
  /** Length of the image's cache entry, when there is one. */
  cachedBytes?: number;
  cacheFreeBytes: number;
  /** What the host has measured of earlier steps. */
  rates: ReadonlyMap<string, Rate>;
}

/** One thing to do. The names are what preview shows. */
export type Step =
  | { kind: "fetchImage"; digest: string; bytes: number }
  | { kind: "makeGolden"; pool: string; golden: string; digest: string; bytes: number }
  | {
      kind: "cloneGolden";
      pool: string;
      golden: string;
      digest: string;
      bytes: number;
      addTags: string[];
      /** The pool was far from full, so that the kernel need not be asked again. */
      isRoomy?: boolean;
    }
  | { kind: "createVolume"; bytes: number; addTags: string[]; pool?: string }
  | { kind: "adoptVolume"; addTags: string[]; removeTags: string[] }
  | { kind: "changeOwner"; addTags: string[]; removeTags: string[] }
  /** `hasBytes`: what it has already, where a growth from `fromBytes` was interrupted. */
  | { kind: "growVolume"; fromBytes: number; hasBytes: number; toBytes: number }
  | { kind: "stopDomains"; domains: string[]; timeoutSeconds: number; startAgain: boolean }
  | { kind: "unmarkVolume"; removeTags: string[] }
  | { kind: "populateVolume"; digest: string }
  | { kind: "zeroTail"; toBytes: number }
  | { kind: "zeroVolume"; toBytes: number }
  | { kind: "markPopulated"; addTags: string[]; removeTags: string[] }
  | { kind: "switchVolume" }
  | { kind: "restorePrevious" }
  | { kind: "settleCompanions" }
  | { kind: "removeCompanion"; name: string }
  | { kind: "startDomains" };

/** Why something cannot be done, and what the user can do about it. */
export interface Refusal {
  code: ImageVolumeCode;
  reason: string;
  next: string;
  /** Whether it may be gone once the rest of the update is done: a stopped domain, freed space. */
  mayPass: boolean;
}

export type Plan = { kind: "steps"; steps: Step[] } | { kind: "refusal"; refusal: Refusal };

/** Picks from what was seen of a host what concerns one volume. */
export function selectObserved(host: HostObservation, desired: DesiredVolume): Observed {
  const group = host.groups.get(desired.volumeGroup);
  const digest = desired.image?.digest;
  const cachedBytes = digest === undefined ? undefined : host.cache.get(digest);
  const find = (name: string): ObservedVolume | undefined =>
    host.volumes.get(`${desired.volumeGroup}/${name}`);
  const pools = host.pools.filter(({ volumeGroup }) => volumeGroup === desired.volumeGroup);
  const volume = find(desired.volumeName);
  return {
    ...(group && { group }),
    ...(volume && { volume }),
    ...findCompanions(find, desired.volumeName),
    ...(pools.length > 0 && {
      pools: pools.map((pool) => {
        const golden = find(goldenName(pool.name, digest ?? ""));
        const usable =
          golden !== undefined && digest !== undefined && isGolden(golden.marks, digest);
        return { ...pool, ...(usable && { golden }) };
      }),
    }),
    ...(cachedBytes !== undefined && { cachedBytes }),
    cacheFreeBytes: host.cacheFreeBytes,
    rates: host.rates,
  };
}

/** Which steps lead from what is there to what shall be; none when it is so already. */
export function plan(desired: DesiredVolume, observed: Observed): Plan {
  const { group, volume } = observed;
  const { image } = desired;
  if (group === undefined)
    return refuse("volume-group-missing", `there is no volume group "${desired.volumeGroup}"`, {
      next: "Create it with vgcreate, or correct volumeGroup.",
    });
  const targetBytes = Math.ceil(desired.sizeBytes / group.extentBytes) * group.extentBytes;
  if (image?.virtualBytes !== undefined && image.virtualBytes > targetBytes)
    return refuse(
      "image-larger-than-volume",
      `the image needs ${formatBytes(image.virtualBytes)} and the volume has ${formatBytes(targetBytes)}`,
      { next: `Set sizeGiB to ${String(Math.ceil(image.virtualBytes / 2 ** 30))} or more.` },
    );
  const missingBytes = targetBytes - (volume?.sizeBytes ?? 0);
  const reverting = volume === undefined ? observed.next?.volume.marks : volume.marks;
  if (reverting?.reverting !== undefined) return refuseReverting(reverting.reverting);
  if (volume !== undefined && !isOurs(desired, volume) && !desired.adopt)
    return refuse("volume-not-ours", `it exists and ${describeOwner(volume.marks)}`, {
      next: "Choose another name, or set adopt to true to take it over with its content.",
    });
  if (missingBytes < 0)
    return refuse(
      "volume-shrink-refused",
      `it has ${formatBytes(targetBytes - missingBytes)} and would shrink to ${formatBytes(targetBytes)}, losing data`,
      {
        next: `Set sizeGiB to ${String((targetBytes - missingBytes) / 2 ** 30)}, or replace the volume.`,
      },
    );
  const replacement = planReplacement(desired, observed, targetBytes);
  if (replacement !== undefined) return replacement;
  const space = planSpace(desired, observed, missingBytes);
  if (space.kind === "refusal") return space;

  const thin =
    volume === undefined && space.kind === "thin"
      ? thinSteps(desired, space.pool, observed.cachedBytes, targetBytes)
      : undefined;
  if (thin !== undefined && !Array.isArray(thin)) return { kind: "refusal", refusal: thin };
  const shape = thin ?? shapeSteps(desired, volume, targetBytes);
  const content = thin === undefined ? contentSteps(desired, observed, targetBytes) : [];
  const stop = content.length > 0 ? stopSteps(desired, volume) : [];
  if (stop === undefined) return refuseInUse("rewritten", volume);
  const starts = (volume?.marks.stopped ?? []).length > 0 || stop.some((step) => step.startAgain);
  const needsImage = [...shape, ...content].some(({ kind }) =>
    ["populateVolume", "makeGolden"].includes(kind),
  );
  const fetch = needsImage ? fetchSteps(desired, observed) : [];
  const toFetch = fetch.reduce((sum, step) => sum + step.bytes, 0);
  if (toFetch > observed.cacheFreeBytes)
    return refuse(
      "cache-disk-full",
      `the image has ${formatBytes(toFetch)} and the cache has room for ${formatBytes(observed.cacheFreeBytes)}`,
      {
        next: "Free space on that host, or move the cache with GROUNDWORK_IMAGE_CACHE.",
        mayPass: true,
      },
    );
  return {
    kind: "steps",
    steps: [
      ...fetch,
      ...shape,
      ...stop,
      ...content,
      ...(starts ? [{ kind: "startDomains" as const }] : []),
      ...tidySteps(desired, observed),
    ],
  };
}

function fetchSteps(
  desired: DesiredVolume,
  observed: Observed,
): Extract<Step, { kind: "fetchImage" }>[] {
  if (desired.image === undefined || observed.cachedBytes !== undefined) return [];
  const { digest, bytes } = desired.image;
  return [{ kind: "fetchImage", digest, bytes: bytes ?? 0 }];
}

/** The volume itself: that it exists, is ours and has its size. */
export function shapeSteps(
  desired: DesiredVolume,
  volume: ObservedVolume | undefined,
  targetBytes: number,
): Step[] {
  if (volume === undefined)
    return [
      {
        kind: "createVolume",
        bytes: targetBytes,
        addTags: [...roleTags(desired), ...buildTags({ owner: desired.owner })],
      },
    ];
  const steps: Step[] = [];
  if (isOurs(desired, volume)) {
    const owner = buildTags({ owner: desired.owner });
    const removeTags = buildTags({ ...(desired.formerOwner && { owner: desired.formerOwner }) });
    if (volume.marks.owner !== desired.owner)
      steps.push({ kind: "changeOwner", addTags: owner, removeTags });
  } else
    steps.push({
      kind: "adoptVolume",
      addTags: buildTags({
        owner: desired.owner,
        state: "adopted",
        ...(desired.image && { digest: desired.image.digest }),
        generation: desired.generation,
      }),
      removeTags: volume.tags.filter(isOwnTag),
    });
  const { marks, sizeBytes: hasBytes } = volume;
  const fromBytes = Math.min(marks.growingFromBytes ?? hasBytes, hasBytes);
  // Also where nothing is to grow any more, but the mark of a growth is left.
  if (fromBytes < targetBytes || marks.growingFromBytes !== undefined)
    steps.push({ kind: "growVolume", fromBytes, hasBytes, toBytes: targetBytes });
  return steps;
}

export function isOurs(desired: DesiredVolume, volume: ObservedVolume): boolean {
  const { owner } = volume.marks;
  return owner !== undefined && [desired.owner, desired.formerOwner].includes(owner);
}

/** What takes a step back when a later one fails. Only what the run itself made is ever removed. */
export interface Undo {
  kind: "removeVolume";
}

/** The undo of a step, if it needs one: volumes that were there before are kept, unmarked. */
export function undoOf(step: Step): Undo | undefined {
  return ["createVolume", "cloneGolden"].includes(step.kind) ? { kind: "removeVolume" } : undefined;
}

/** `stack "lab/dev" owns it`, for errors. */
export function describeOwner(marks: VolumeMarks): string {
  return marks.owner === undefined
    ? "carries no owner of ours"
    : `belongs to the stack "${marks.owner}"`;
}

/** `domain "vm1"` or `process 123 (mkfs)`, for errors. */
export function describeUsers(volume: Pick<ObservedVolume, "users">): string {
  return volume.users
    .map((user) =>
      user.domain === undefined
        ? `process ${String(user.pid)} (${user.command})`
        : `domain "${user.domain}"`,
    )
    .join(", ");
}

/** The refusal to take a volume from whoever has it open. */
export function refuseInUse(verb: "rewritten" | "replaced", volume?: ObservedVolume): Plan {
  return refuse(
    "volume-in-use",
    `its content would be ${verb} while ${describeUsers(volume ?? { users: [] })} has it open`,
    {
      next: "Shut that down, or set allowStop to true if it is a domain, then run the same command again.",
      mayPass: true,
    },
  );
}

/** A machine has all its volumes of one snapshot or none: who began to bring one back must end it. */
function refuseReverting(snapshot: string): Plan {
  const name = snapshot.replace(/:.*/, "");
  return refuse("volume-reverting", `bringing back snapshot "${name}" was interrupted`, {
    next: `Run \`make snapshot ARGS="revert <machine> ${name}"\` once more, then the same command again.`,
  });
}

export function refuse(
  code: ImageVolumeCode,
  reason: string,
  rest: { next: string; mayPass?: boolean },
): Plan {
  return { kind: "refusal", refusal: { code, reason, mayPass: false, ...rest } };
}

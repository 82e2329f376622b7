import { say } from "../../telemetry/effects/log.ts";
import { inSpan } from "../../telemetry/effects/telemetry.ts";
import type { ImageVolumeArguments, Wipe } from "../core/arguments.ts";
import { hasCode, refusalError } from "../core/errors.ts";
import { formatOf, isPlainQcow2 } from "../core/image-format.ts";
import type { FormerDigest } from "../core/known-digest.ts";
import { volumeId } from "../core/layout.ts";
import type { PopulateOutcome } from "../core/outcome.ts";
import type { HostObservation, ObservedVolume } from "../core/parsers.ts";
import {
  describeOwner,
  type DesiredVolume,
  type Observed,
  type Plan,
  plan,
  selectObserved,
} from "../core/plan.ts";
import { findCompanions } from "../core/replace.ts";
import { findDependents } from "../core/snapshot-tags.ts";
import { applyPlan, type Examined, hasStep } from "./apply.ts";
import { forgetObservation, hostName, observeHost } from "./hosts.ts";
import { readDigest } from "./digests.ts";
import { readHeader, readImageObject } from "./images.ts";
import { runRemove } from "./remove.ts";

/** How a volume is after a run, and what the run did. */
export interface Ensured extends Examined {
  /** None when the volume's content was not written. */
  outcome?: PopulateOutcome;
}

export interface ExamineOptions {
  /** Looks at the host now, instead of sharing a look of the last seconds. */
  fresh?: boolean;
  /** The digest that was found before in the same run, so that both work on the same image. */
  digest?: string;
  /** What an earlier run knew of the image. */
  former?: FormerDigest;
  formerOwner?: string;
}

/** What the arguments ask for, given the image's digest. */
export function buildDesired(
  args: ImageVolumeArguments,
  digest: string | undefined,
  formerOwner?: string,
): DesiredVolume {
  return {
    volumeGroup: args.volumeGroup,
    volumeName: args.volumeName,
    sizeBytes: args.sizeGiB * 2 ** 30,
    owner: args.owner,
    adopt: args.adopt ?? false,
    generation: args.generation ?? 0,
    allowStop: args.allowStop ?? false,
    shutdownTimeoutSeconds: args.shutdownTimeoutSeconds ?? 120,
    startAgain: args.startAgain ?? true,
    strategy: args.strategy ?? "inPlace",
    keepPrevious: args.keepPrevious ?? false,
    ...(args.provisioning !== undefined && { provisioning: args.provisioning }),
    ...(args.thinPool !== undefined && { thinPool: args.thinPool }),
    ...(formerOwner !== undefined && { formerOwner }),
    ...(digest !== undefined && { image: { digest } }),
  };
}

/** What spans say of the volume that they are about. */
function spanAttributes(args: ImageVolumeArguments): Record<string, string> {
  const volume = volumeId(args.volumeGroup, args.volumeName);
  return { "groundwork.volume": volume, "server.address": hostName(args.hypervisorUri) };
}

/** Looks at host and object store, changing neither, and plans. */
export function examineVolume(
  args: ImageVolumeArguments,
  options: ExamineOptions = {},
): Promise<Examined> {
  return inSpan("plan", spanAttributes(args), () => lookAndPlan(args, options));
}

async function lookAndPlan(args: ImageVolumeArguments, options: ExamineOptions): Promise<Examined> {
  const { image } = args;
  const [host, found] = await Promise.all([
    observeHost(args.hypervisorUri, { fresh: options.fresh ?? false }),
    image && (options.digest ?? readDigest(image, options.former)),
  ]);
  const known = typeof found === "string" ? undefined : found;
  const digest = known === undefined ? options.digest : known.digest;
  const desired = buildDesired(args, digest, options.formerOwner);
  const observed = selectObserved(host, desired);
  const examined = { desired, observed, activation: host.activation, ...(known && { known }) };
  const planned = plan(desired, observed);
  const fetches = hasStep(planned, "fetchImage");
  if (image === undefined || digest === undefined) return { ...examined, planned };
  if (!fetches) {
    const virtualBytes = isPlainQcow2(formatOf(image)) ? host.disks.get(digest) : undefined;
    const writes = hasStep(planned, "makeGolden") || hasStep(planned, "populateVolume");
    if (!writes || virtualBytes === undefined) return { ...examined, planned };
    desired.image = { digest, virtualBytes };
    return { ...examined, planned: plan(desired, observed) };
  }
  const object = await readImageObject(image);
  const { virtualBytes } = readHeader(object.header, object.bytes, image);
  desired.image = {
    digest,
    bytes: object.bytes,
    ...(virtualBytes !== undefined && { virtualBytes }),
  };
  return { ...examined, planned: plan(desired, observed) };
}

/**
 * Makes the volume what the arguments ask for and returns how it then is. Does nothing when it is so
 * already. A volume that this run made goes again when a later step fails; one that was there before
 * stays, unmarked.
 */
export async function ensureVolume(
  args: ImageVolumeArguments,
  options: Omit<ExamineOptions, "fresh"> = {},
): Promise<Ensured> {
  let outcome: PopulateOutcome | undefined;
  // `check` has just looked. The scripts hold what it saw against the host before they change anything.
  let fresh = false;
  for (let attempt = 1; ; attempt += 1) {
    const examined = await examineVolume(args, { ...options, fresh });
    const { planned } = examined;
    if (!fresh && (planned.kind === "refusal" || planned.steps.length === 0)) {
      fresh = true;
      continue;
    }
    if (isDone(planned)) return { ...examined, ...(outcome && { outcome }) };
    try {
      const applied = await inSpan("apply", spanAttributes(args), () => applyPlan(args, examined));
      outcome = applied.outcome ?? outcome;
      const settled = applied.observed && settle(examined, applied.observed);
      if (settled) return { ...settled, ...(outcome && { outcome }) };
    } catch (error) {
      // The host moved on since we looked, or the cache held rubbish: look again, but not for ever.
      if (attempt >= 4 || !(hasCode(error, ...passing) || (!fresh && hasCode(error, ...stale))))
        throw error;
      const seen = error.message.slice(0, -error.next.length).trimEnd();
      say(`${args.volumeName}: ${seen} This run looks again.`);
    } finally {
      forgetObservation(args.hypervisorUri);
    }
    fresh = true;
  }
}

/** What another look at the host mends. */
const passing = ["host-changed", "cache-entry-corrupt", "cache-copy-corrupt"] as const;
/** What may be only the look's age. */
const stale = ["volume-in-use"] as const;

function isDone(planned: Plan): boolean {
  return planned.kind === "steps" && planned.steps.length === 0;
}

/** How things are after a run, as it reported them itself, if then nothing is left to do. */
function settle(examined: Examined, observed: Observed): Examined | undefined {
  const planned = plan(examined.desired, observed);
  return isDone(planned) ? { ...examined, observed, planned } : undefined;
}

/** The volume as it is, or `undefined` when there is none. Shares a look of the last seconds. */
export async function readVolume(
  uri: string,
  id: string,
): Promise<{ host: HostObservation; volume: ObservedVolume } | undefined> {
  const host = await observeHost(uri);
  const volume = host.volumes.get(id);
  return volume && { host, volume };
}

/**
 * Removes the volume, its companions and its snapshots, after their content as `wipe` says. Succeeds when there
 * is none; where a switch broke off between two renames, only the others are there.
 * @throws GroundworkError `volume-not-ours`, `volume-in-use`, …
 */
export async function removeVolume(args: {
  uri: string;
  volumeGroup: string;
  volumeName: string;
  owner: string;
  wipe: Wipe;
}): Promise<void> {
  const { uri, volumeGroup, volumeName, owner, wipe } = args;
  const id = volumeId(volumeGroup, volumeName);
  const host = await observeHost(uri, { fresh: true });
  const seen = host.volumes.get(id);
  if (seen !== undefined && seen.marks.owner !== owner)
    throw refusalError(
      {
        code: "volume-not-ours",
        reason: `it ${describeOwner(seen.marks)} and not to "${owner}"`,
        next: "If it is to stay, take it out of the state with `pulumi state delete`.",
      },
      ...(["remove", id, hostName(uri)] as const),
    );
  const { activation } = host;
  const find = (name: string): ObservedVolume | undefined =>
    host.volumes.get(volumeId(volumeGroup, name));
  const { next, previous } = findCompanions(find, volumeName);
  for (const companion of [next, previous])
    if (companion?.volume.marks.owner === owner)
      await runRemove({
        ...{ uri, activation, volumeGroup, wipe },
        ...{ volumeName: companion.name, seen: companion.volume },
      });
  for (const dependent of findDependents(host.volumes, { volumeGroup, volumeName, owner }))
    await runRemove({ uri, activation, volumeGroup, wipe, ...dependent });
  if (seen !== undefined) await runRemove({ uri, activation, volumeGroup, volumeName, seen, wipe });
}

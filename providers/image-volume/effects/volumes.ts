import { say } from "../../telemetry/effects/log.ts";
import type { GroundworkError } from "../../errors.ts";
import { inSpan, recordSpan } from "../../telemetry/effects/telemetry.ts";
import { type Activation, volumeGroupCommands } from "../../volume-group/core/commands.ts";
import type { ImageVolumeArguments, Wipe } from "../core/arguments.ts";
import { renderApply } from "../core/apply.ts";
import { hasCode, refusalError } from "../core/errors.ts";
import { volumeId } from "../core/layout.ts";
import {
  buildOutcome,
  parseStepOutcomes,
  type PopulateOutcome,
  type StepOutcome,
} from "../core/outcome.ts";
import type { HostObservation, ObservedVolume } from "../core/parsers.ts";
import {
  describeOwner,
  type DesiredVolume,
  type Observed,
  type Plan,
  plan,
  selectObserved,
} from "../core/plan.ts";
import { renderRemove } from "../core/remove.ts";
import { findCompanions, firstPhase, type Phase } from "../core/replace.ts";
import { renderSwitch } from "../core/switch.ts";
import { ensureGolden } from "./golden.ts";
import {
  forgetObservation,
  hostName,
  localUri,
  observeHost,
  readCacheLayout,
  runScript,
} from "./hosts.ts";
import {
  type CachedImage,
  ensureEntry,
  readDigest,
  readHeader,
  readImageObject,
} from "./images.ts";
import { progressReporter } from "./progress.ts";

/** What a volume should be, what is there, and how to come from one to the other. */
export interface Examined {
  desired: DesiredVolume;
  observed: Observed;
  planned: Plan;
  activation: HostObservation["activation"];
}

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
  const [host, digest] = await Promise.all([
    observeHost(args.hypervisorUri, { fresh: options.fresh ?? false }),
    image && (options.digest ?? readDigest(image)),
  ]);
  const desired = buildDesired(args, digest, options.formerOwner);
  const observed = selectObserved(host, desired);
  const examined = { desired, observed, activation: host.activation };
  const planned = plan(desired, observed);
  const fetches = hasStep(planned, "fetchImage");
  if (!fetches || image === undefined || digest === undefined) return { ...examined, planned };
  const object = await readImageObject(image);
  const { virtualBytes } = readHeader(object.header, object.bytes, image);
  desired.image = {
    digest,
    bytes: object.bytes,
    ...(virtualBytes !== undefined && { virtualBytes }),
  };
  return { ...examined, planned: plan(desired, observed) };
}

function hasStep(planned: Plan, kind: string): boolean {
  return planned.kind === "steps" && planned.steps.some((step) => step.kind === kind);
}

/** The error behind a plan that refuses. */
export function refusalOf(
  args: ImageVolumeArguments,
  planned: Extract<Plan, { kind: "refusal" }>,
): GroundworkError {
  const id = volumeId(args.volumeGroup, args.volumeName);
  return refusalError(planned.refusal, "provide", id, hostName(args.hypervisorUri));
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
  for (let attempt = 1; ; attempt += 1) {
    const examined = await examineVolume(args, { ...options, fresh: true });
    if (examined.planned.kind === "steps" && examined.planned.steps.length === 0)
      return { ...examined, ...(outcome && { outcome }) };
    try {
      outcome =
        (await inSpan("apply", spanAttributes(args), () => applyPlan(args, examined))) ?? outcome;
    } catch (error) {
      // The host moved on since we looked, or the cache held rubbish: look again, but not for ever.
      if (
        attempt >= 3 ||
        !hasCode(error, "host-changed", "cache-entry-corrupt", "cache-copy-corrupt")
      )
        throw error;
      say(`${args.volumeName}: ${error.message}`);
    } finally {
      forgetObservation(args.hypervisorUri);
    }
  }
}

/** Carries out the first part of a plan that one script can; the caller plans again for the rest. */
async function applyPlan(
  args: ImageVolumeArguments,
  examined: Examined,
): Promise<PopulateOutcome | undefined> {
  const { desired, observed, activation } = examined;
  let { planned } = examined;
  let image: CachedImage | undefined;
  const writes = hasStep(planned, "populateVolume") || hasStep(planned, "makeGolden");
  if (writes && args.image && desired.image) {
    image = await ensureEntry({
      ...{ uri: args.hypervisorUri, image: args.image, volumeName: args.volumeName },
      digest: desired.image.digest,
      ...(args.cacheEncoding && { encoding: args.cacheEncoding }),
      ...(observed.cachedBytes !== undefined && { cachedBytes: observed.cachedBytes }),
    });
    const { digest, virtualBytes } = image;
    planned = plan({ ...desired, image: { ...desired.image, digest, virtualBytes } }, observed);
  }
  if (planned.kind === "refusal") throw refusalOf(args, planned);
  const phase = firstPhase(desired, observed, planned.steps);
  if (phase.kind === "remove") {
    const { hypervisorUri: uri, volumeGroup, wipe = "zero" } = args;
    const { volumeName, seen } = phase;
    if (seen) await runRemove({ uri, activation, volumeGroup, volumeName, seen, wipe });
    return undefined;
  }
  const done = await runPhase(args, activation, phase, image);
  return buildOutcome(new Date(), args.image !== undefined, [...(image?.steps ?? []), ...done]);
}

async function runPhase(
  { hypervisorUri: uri, volumeGroup, image: reference }: ImageVolumeArguments,
  activation: Activation,
  { kind, volumeName, seen, steps }: Phase,
  image: CachedImage | undefined,
): Promise<StepOutcome[]> {
  const commands = volumeGroupCommands(activation);
  const golden = steps.find((step) => step.kind === "makeGolden");
  const made =
    golden && image
      ? await ensureGolden({ uri, commands, volumeGroup, golden, image, volumeName })
      : [];
  const render = kind === "switch" ? renderSwitch : renderApply;
  const script = render({
    ...{ commands, volumeGroup, volumeName, steps, seen, libvirtUri: localUri(uri) },
    rates: readCacheLayout().rates,
    ...(image && { image }),
  });
  const values = await runScript(uri, script, {
    subject: {
      purpose: `provide volume "${volumeId(volumeGroup, volumeName)}"`,
      ...(reference && { image: `${reference.bucket}/${reference.key}` }),
      ...(image && { digest: image.digest }),
    },
    timeoutSeconds: 4 * 3600,
    heavy: steps.some((step) => step.kind === "populateVolume"),
    onLine: progressReporter(volumeName, {}),
  });
  const forced = values.get("forced");
  if (forced !== undefined)
    say(`${volumeName}: domain "${forced}" did not shut down and was switched off.`);
  const domain = values.get("unresized");
  if (domain !== undefined)
    say(
      `${volumeName}: domain "${domain}" could not be told the new size; it sees it once restarted.`,
    );
  const done = parseStepOutcomes(values.get("steps"));
  recordSteps(done, image?.verify ?? false);
  return [...made, ...done];
}

/** Tells telemetry of steps that a script has just carried out, one after the other. */
function recordSteps(done: readonly StepOutcome[], verified: boolean): void {
  let endedAt = Date.now();
  for (const { step, seconds, bytes } of [...done].reverse()) {
    const startedAt = endedAt - seconds * 1000;
    const attributes = { "groundwork.bytes": bytes };
    recordSpan({ name: step, startedAt, endedAt, attributes });
    if (step === "populateVolume" && verified) recordSpan({ name: "verify", startedAt, endedAt });
    endedAt = startedAt;
  }
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
 * Removes the volume and its companions, after their content as `wipe` says. Succeeds when there is none.
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
  if (seen === undefined) return;
  if (seen.marks.owner !== owner)
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
  await runRemove({ uri, activation, volumeGroup, volumeName, seen, wipe });
}

async function runRemove(args: {
  uri: string;
  activation: Activation;
  volumeGroup: string;
  volumeName: string;
  seen: ObservedVolume;
  wipe: Wipe;
}): Promise<void> {
  const { uri, activation, volumeGroup, volumeName, seen, wipe } = args;
  const commands = volumeGroupCommands(activation);
  const script = renderRemove({ commands, volumeGroup, volumeName, seen, wipe });
  const values = await runScript(uri, script, {
    subject: { purpose: `remove volume "${volumeId(volumeGroup, volumeName)}"` },
    timeoutSeconds: 4 * 3600,
    onLine: progressReporter(volumeName, { zero: seen.sizeBytes }),
  }).finally(() => {
    forgetObservation(uri);
  });
  if (values.has("undiscarded"))
    say(`${volumeName}: its device cannot discard, so it was zeroed instead.`);
}

import type { KnownDigest } from "../core/known-digest.ts";
import { say } from "../../telemetry/effects/log.ts";
import type { GroundworkError } from "../../errors.ts";
import { recordSpan } from "../../telemetry/effects/telemetry.ts";
import { type Activation, volumeGroupCommands } from "../../volume-group/core/commands.ts";
import type { ImageReference, ImageVolumeArguments } from "../core/arguments.ts";
import { renderApply } from "../core/apply.ts";
import { refusalError } from "../core/errors.ts";
import { volumeId } from "../core/layout.ts";
import {
  buildOutcome,
  parseStepOutcomes,
  type PopulateOutcome,
  type StepOutcome,
} from "../core/outcome.ts";
import {
  type HostObservation,
  type ObservedVolume,
  parseCloneReport,
  parseVolumeReport,
} from "../core/parsers.ts";
import { type DesiredVolume, type Observed, type Plan, plan, type Step } from "../core/plan.ts";
import { firstPhase, type Phase } from "../core/replace.ts";
import { renderSwitch } from "../core/switch.ts";
import { type ImageSource, withImage } from "./decoded.ts";
import { ensureGolden } from "./golden.ts";
import { hostName, localUri, readCacheLayout, runScript } from "./hosts.ts";
import { besides, type CachedImage, ensureEntry, readFollowed } from "./images.ts";
import { progressReporter } from "./progress.ts";
import { runRemove } from "./remove.ts";

/** What a volume should be, what is there, and how to come from one to the other. */
export interface Examined {
  desired: DesiredVolume;
  /** How the image's digest is known, where this look has found that out. */
  known?: KnownDigest;
  observed: Observed;
  planned: Plan;
  activation: HostObservation["activation"];
}

/** What a part of a plan did, and how things are afterwards where its script told all of it. */
interface Applied {
  outcome?: PopulateOutcome;
  observed?: Observed;
}

/** Carries out the first part of a plan that one script can; the caller plans again for the rest. */
export async function applyPlan(args: ImageVolumeArguments, examined: Examined): Promise<Applied> {
  const { planned, desired } = examined;
  const { hypervisorUri: uri, image } = args;
  const populates = hasStep(planned, "populateVolume");
  const writes = populates || hasStep(planned, "makeGolden");
  if (!writes || image === undefined || desired.image === undefined)
    return applyFirst(args, examined, {});
  const { digest } = desired.image;
  const provide = (): Promise<ImageSource> => provideImage({ ...args, image }, examined, digest);
  // A golden volume is decoded once anyway.
  if (!populates) return applyFirst(args, examined, await provide());
  const where = { uri, name: `${image.bucket}/${image.key}`, digest };
  return withImage(where, provide, (source) => applyFirst(args, examined, source));
}

async function applyFirst(
  args: ImageVolumeArguments,
  examined: Examined,
  { image, fetch }: Partial<ImageSource>,
): Promise<Applied> {
  const { desired, observed, activation } = examined;
  const planned =
    image === undefined || desired.image === undefined
      ? examined.planned
      : plan(
          { ...desired, image: { ...desired.image, virtualBytes: image.virtualBytes } },
          observed,
        );
  if (planned.kind === "refusal") throw refusalOf(args, planned);
  const phase = firstPhase(desired, observed, planned.steps);
  if (phase.kind === "remove") {
    const { hypervisorUri: uri, volumeGroup, wipe = "zero" } = args;
    const { volumeName, seen } = phase;
    if (seen) await runRemove({ uri, activation, volumeGroup, volumeName, seen, wipe });
    return {};
  }
  const [fetched, { done, volume }] = await besides(fetch, (signal) =>
    runPhase(args, activation, phase, image, signal),
  );
  const steps = [...((fetched ?? image)?.steps ?? []), ...done];
  const outcome = buildOutcome(new Date(), args.image !== undefined, steps);
  return {
    ...(outcome && { outcome }),
    ...(volume &&
      phase.volumeName === args.volumeName && {
        observed: { ...observed, volume, ...(image && { cachedBytes: image.cachedBytes }) },
      }),
  };
}

/** The image in the host's cache; or, where it may be read while it comes, as it will be there. */
async function provideImage(
  args: ImageVolumeArguments & { image: ImageReference },
  examined: Examined,
  digest: string,
): Promise<ImageSource> {
  const { hypervisorUri: uri, volumeName, image, cacheEncoding: encoding } = args;
  const wanted = { image, digest, ...(encoding && { encoding }) };
  const { cachedBytes } = examined.observed;
  const fetch = (): Promise<CachedImage> =>
    ensureEntry({ ...wanted, uri, volumeName, ...(cachedBytes !== undefined && { cachedBytes }) });
  const followed = writesNewVolume(examined) ? await readFollowed(wanted) : undefined;
  return followed === undefined ? { image: await fetch() } : { image: followed, fetch };
}

/** Whether the image is fetched for a volume that is not there yet, so that nothing is lost if that fails. */
function writesNewVolume({ desired, observed, planned }: Examined): boolean {
  if (planned.kind === "refusal" || !hasStep(planned, "fetchImage")) return false;
  const { seen, steps } = firstPhase(desired, observed, planned.steps);
  return seen === undefined && steps.some(({ kind }) => kind === "populateVolume");
}

async function runPhase(
  { hypervisorUri: uri, volumeGroup, image: reference }: ImageVolumeArguments,
  activation: Activation,
  { kind, volumeName, seen, steps }: Phase,
  image: CachedImage | undefined,
  signal: AbortSignal,
): Promise<{ done: StepOutcome[]; volume?: ObservedVolume }> {
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
    ...(steps.some((step) => step.kind === "populateVolume") && {
      load: image?.decoded === undefined ? "convert" : "copy",
    }),
    onLine: progressReporter(volumeName, {}),
    signal,
  });
  const forced = values.get("forced");
  if (forced !== undefined)
    say(`${volumeName}: domain "${forced}" did not shut down and was switched off.`);
  const domain = values.get("unresized");
  if (domain !== undefined)
    say(
      `${volumeName}: domain "${domain}" could not be told the new size; it sees it once restarted.`,
    );
  const unzeroed = values.get("unzeroed");
  if (unzeroed !== undefined)
    say(
      `${volumeName}: a growth went on that had been interrupted. What is behind byte ${unzeroed} was not zeroed, for a machine may have written there meanwhile; it may hold what another volume had left.`,
    );
  const done = parseStepOutcomes(values.get("steps"));
  recordSteps(done, image?.verify ?? false);
  const volume = readReport(values, steps, hostName(uri));
  return {
    done: [...made, ...done],
    ...(volume && { volume }),
  };
}

/** What a script says of the volume that it leaves. */
function readReport(
  values: ReadonlyMap<string, string>,
  steps: readonly Step[],
  host: string,
): ObservedVolume | undefined {
  const [clone, volume] = [values.get("clone"), values.get("volume")];
  const cloned = steps.find((step) => step.kind === "cloneGolden");
  if (clone !== undefined && cloned) return parseCloneReport(clone, cloned, host);
  return volume === undefined ? undefined : parseVolumeReport(volume, host);
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

export function hasStep(planned: Plan, kind: string): boolean {
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

import { say } from "../telemetry/effects/log.ts";
import type * as pulumi from "@pulumi/pulumi";
import { checkArgs, type CheckResult, isUnknown, type Properties, sameValue } from "../handler.ts";
import { hostOf, parseLibvirtUri } from "../host/core/connection.ts";
import { answers } from "../host/effects/host.ts";
import { devicePath } from "../volume-group/core/commands.ts";
import { argumentsSchema, type ImageVolumeArguments } from "./core/arguments.ts";
import { plannedContentId } from "./core/content.ts";
import { diffVolume } from "./core/diff.ts";
import { hasCode, imageError } from "./core/errors.ts";
import type { KnownDigest } from "./core/known-digest.ts";
import { contentId, parseVolumeId, volumeId } from "./core/layout.ts";
import type { ObservedVolume } from "./core/parsers.ts";
import { selectObserved } from "./core/plan.ts";
import {
  buildSettledSummary,
  buildSummary,
  type Provenance,
  provenanceOf,
  type PlanSummary,
} from "./core/summary.ts";
import { refusalOf } from "./effects/apply.ts";
import {
  buildDesired,
  ensureVolume,
  type Ensured,
  examineVolume,
  readVolume,
  removeVolume,
} from "./effects/volumes.ts";

/**
 * Validates, and computes `plan` and `devicePath`, so that preview shows them; `digest` as well, on
 * which domains hang.
 */
export async function check(olds: Properties, news: Properties): Promise<CheckResult> {
  const { args, failures } = checkArgs(argumentsSchema, news);
  if (args === undefined) {
    const plan: PlanSummary = { cache: "unknown", digestSource: "unknown" };
    return { inputs: failures.length > 0 ? news : { ...news, plan }, failures };
  }
  parseLibvirtUri(args.hypervisorUri);
  const inputs = { ...args, devicePath: devicePath(args.volumeGroup, args.volumeName) };
  const former = olds["owner"];
  try {
    const options = {
      former: (olds["plan"] ?? {}) as Partial<PlanSummary>,
      ...(typeof former === "string" && { formerOwner: former }),
    };
    const { planned, desired, observed, known } = await examineVolume(args, options);
    if (planned.kind === "refusal" && !planned.refusal.mayPass) throw refusalOf(args, planned);
    const plan = buildSummary(planned, desired, observed, provenanceOf(args.image, known));
    sayLostEntry(args, olds["plan"], plan);
    const content = plannedContentId(planned, observed);
    const computed = { plan, ...digestOf({ plan }), ...(content && { contentId: content }) };
    return { inputs: { ...inputs, ...computed }, failures };
  } catch (error) {
    if (!(await isUnreachable(error, args.hypervisorUri))) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    say(`${args.volumeName}: the plan is unknown. ${reason}`);
    const plan: PlanSummary = {
      cache: args.image === undefined ? "none" : "unknown",
      ...(args.image?.sha256 !== undefined && { digest: args.image.sha256 }),
      ...provenanceOf(args.image),
    };
    return { inputs: { ...inputs, plan, ...digestOf({ plan }) }, failures };
  }
}

/** Where nobody answers, a preview goes on without knowing; an answer that is an error ends it. */
const unreachable = [
  ...["host-unreachable", "host-connection-lost", "command-timed-out"],
  "object-store-unreachable",
];

/** Host and store are asked at once; who is not set up for either hears of the host. */
async function isUnreachable(error: unknown, hypervisorUri: string): Promise<boolean> {
  if (hasCode(error, ...unreachable)) return true;
  return hasCode(error, "object-store-credentials") && !(await answers(hypervisorUri));
}

/** What becomes of each argument's change stands at `diffVolume`. */
export function diff(
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<pulumi.dynamic.DiffResult> {
  const known = Object.fromEntries(
    Object.entries(news).map(([key, value]) => [key, isUnknown(value) ? olds[key] : value]),
  );
  const { replaces, updates } = diffVolume(olds, known, hostOf, sameValue);
  return Promise.resolve({
    changes: replaces.length + updates.length > 0 || isUnknown(news),
    replaces,
    // Both URIs may lead to the same machine, where the new volume would be the old one.
    deleteBeforeReplace: replaces.some((key) =>
      ["hypervisorUri", "provisioning", "thinPool"].includes(key),
    ),
  });
}

export async function create(inputs: Properties): Promise<{ id: string; outs: Properties }> {
  const args = argumentsOf(inputs);
  const outs = outputs(args, await ensureVolume(args, { ...digestOf(inputs) }), inputs["plan"]);
  return { id: volumeId(args.volumeGroup, args.volumeName), outs };
}

export async function update(
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<{ outs: Properties }> {
  const args = argumentsOf(news);
  const former = olds["owner"];
  const options = { ...digestOf(news), ...(typeof former === "string" && { formerOwner: former }) };
  const ensured = await ensureVolume(args, options);
  return { outs: outputs(args, ensured, news["plan"], olds["lastPopulate"]) };
}

/** Reports what is there, as inputs too, for only those show as drift. */
export async function read(
  id: string,
  props: Properties,
): Promise<{ id?: string; props?: Properties; inputs?: Properties }> {
  const { volumeGroup, volumeName } = parseVolumeId(id);
  if (typeof props["hypervisorUri"] !== "string")
    throw imageError("bad-volume-id", `Cannot import volume "${id}": its host is not known.`, {
      next: "Declare it with adopt: true instead, which takes it over with its content.",
    });
  const args = argumentsOf({ ...props, volumeGroup, volumeName });
  const found = await readVolume(args.hypervisorUri, id);
  if (found === undefined) return {};
  const { marks, sizeBytes } = found.volume;
  const digest = (props["plan"] as PlanSummary | undefined)?.digest;
  const desired = buildDesired(args, args.image && digest);
  const observed = selectObserved(found.host, desired);
  const extentBytes = observed.group?.extentBytes ?? 1;
  const content = contentId(marks);
  const asRounded = Math.ceil(desired.sizeBytes / extentBytes) * extentBytes === sizeBytes;
  const plan = buildSettledSummary(desired, observed, plannedProvenance(args, props["plan"]));
  sayLostEntry(args, props["plan"], plan);
  const { state, owner, digest: seen } = marks;
  const inputs = {
    ...args,
    devicePath: devicePath(volumeGroup, volumeName),
    plan,
    ...(state !== undefined && seen !== undefined && { digest: seen }),
    ...(content !== undefined && { contentId: content }),
    ...(state !== undefined &&
      (marks.generation ?? 0) !== (args.generation ?? 0) && { generation: marks.generation ?? 0 }),
    sizeGiB: asRounded ? args.sizeGiB : sizeBytes / 2 ** 30,
  };
  const drift = {
    ...provisioningOf(found.volume),
    ...(owner !== args.owner && { foreignOwner: owner ?? "nobody" }),
  };
  const { lastPopulate } = props;
  const outs = { ...inputs, ...drift, sizeBytes, volumeUuid: found.volume.uuid };
  return { id, inputs, props: { ...outs, ...(lastPopulate !== undefined && { lastPopulate }) } };
}

async function remove(id: string, props: Properties): Promise<void> {
  const { hypervisorUri: uri, owner, wipe = "zero" } = argumentsOf(props);
  await removeVolume({ uri, ...parseVolumeId(id), owner, wipe });
}
export { remove as delete };

function argumentsOf(properties: Properties): ImageVolumeArguments {
  const names = Object.keys(argumentsSchema.shape);
  return argumentsSchema.parse(
    Object.fromEntries(Object.entries(properties).filter(([key]) => names.includes(key))),
  );
}

/** An image that left the cache is no reason to do anything, so no diff would ever show it. */
function sayLostEntry(args: ImageVolumeArguments, before: unknown, now: PlanSummary): void {
  const { cache, digest } = (before ?? {}) as Partial<PlanSummary>;
  if (cache !== "hit" || now.cache !== "miss" || digest !== now.digest) return;
  say(`${args.volumeName}: the host's cache no longer has its image (cache: "miss").`);
}

/** How the volume really is, which the arguments may leave open. */
function provisioningOf({ segmentType, pool }: ObservedVolume): Properties {
  return {
    provisionedAs: segmentType === "thin" ? "thin" : "thick",
    ...(pool !== undefined && { pool }),
  };
}

/** The digest that `check` found in this run: what preview promised is what gets done. */
function digestOf(inputs: Properties): { digest?: string } {
  const digest = (inputs["plan"] as PlanSummary | undefined)?.digest;
  return digest === undefined ? {} : { digest };
}

/** How the digest of a plan is known; a plan without a digest says nothing of that. */
function plannedProvenance(
  { image }: ImageVolumeArguments,
  planned: unknown,
  known?: KnownDigest,
): Provenance {
  const { digest, digestSource, urlKey } = (planned ?? {}) as Partial<PlanSummary>;
  if (image === undefined || digest === undefined || digestSource === undefined)
    return provenanceOf(image, known);
  return { digestSource, ...(urlKey !== undefined && { urlKey }) };
}

function outputs(
  args: ImageVolumeArguments,
  ensured: Ensured,
  planned: unknown,
  formerOutcome?: unknown,
): Properties {
  const { desired, observed, known } = ensured;
  const lastPopulate = ensured.outcome ?? formerOutcome;
  const content = contentId(observed.volume?.marks ?? {});
  return {
    ...args,
    devicePath: devicePath(args.volumeGroup, args.volumeName),
    ...(desired.image && { digest: desired.image.digest }),
    ...(observed.volume && provisioningOf(observed.volume)),
    sizeBytes: observed.volume?.sizeBytes,
    volumeUuid: observed.volume?.uuid,
    ...(content !== undefined && { contentId: content }),
    plan: buildSettledSummary(desired, observed, plannedProvenance(args, planned, known)),
    ...(lastPopulate !== undefined && { lastPopulate }),
  };
}

import type * as pulumi from "@pulumi/pulumi";
import { checkArgs, type CheckResult, isUnknown, type Properties, sameValue } from "../handler.ts";
import { parseLibvirtUri } from "../host/core/connection.ts";
import type { ImageReference } from "../image-volume/core/arguments.ts";
import { cacheSchema, type ImageCacheArguments } from "./core/arguments.ts";
import { type CachePlanRow, diffCache, locateImage } from "./core/cache-plan.ts";
import { ensureHosts, examineHosts } from "./effects/hosts.ts";

/** Validates, and computes `plan`, so that preview shows what each host has and lacks. */
export async function check(_olds: Properties, news: Properties): Promise<CheckResult> {
  const { args, failures } = checkArgs(cacheSchema, news);
  if (args === undefined) return { inputs: { ...news, plan: [] }, failures };
  args.hypervisorUris.forEach(parseLibvirtUri);
  return { inputs: { ...args, plan: await examineHosts(args) }, failures };
}

/** What becomes of each change stands at `diffCache`. */
export function diff(
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<pulumi.dynamic.DiffResult> {
  const changed = diffCache(olds, news, sameValue);
  return Promise.resolve({ changes: changed.length > 0 || isUnknown(news), replaces: [] });
}

export async function create(inputs: Properties): Promise<{ id: string; outs: Properties }> {
  return { id: "image-cache", outs: await ensure(inputs) };
}

export async function update(
  _id: string,
  _olds: Properties,
  news: Properties,
): Promise<{ outs: Properties }> {
  return { outs: await ensure(news) };
}

/** Reports what is there, as inputs too, for only those show as drift. */
export async function read(
  id: string,
  props: Properties,
): Promise<{ id: string; props: Properties; inputs: Properties }> {
  const args = argumentsOf(props);
  const found = { ...args, plan: await examineHosts(args) };
  return { id, props: found, inputs: found };
}

async function ensure(inputs: Properties): Promise<Properties> {
  const args = argumentsOf(inputs);
  const rows = (inputs["plan"] ?? []) as CachePlanRow[];
  const digestOf = (image: ImageReference): string | undefined =>
    image.sha256 ?? rows.find((row) => row.image === locateImage(image))?.digest;
  await ensureHosts(args, digestOf);
  return { ...args, plan: await examineHosts(args) };
}

function argumentsOf({ hypervisorUris, images }: Properties): ImageCacheArguments {
  return cacheSchema.parse({ hypervisorUris, images });
}

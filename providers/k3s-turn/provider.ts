import type * as pulumi from "@pulumi/pulumi";
import { GroundworkError } from "../errors.ts";
import { checkArgs, type CheckResult, type Properties, sameValue } from "../handler.ts";
import { readDigest } from "../image-volume/effects/digests.ts";
import { say } from "../telemetry/effects/log.ts";
import { turnSchema } from "./core/arguments.ts";
import { type Before, identifyDisk, isRewritten } from "./core/turn.ts";
import { comeBack, leave } from "./effects/turns.ts";

/** Of no interest until the node has its turn. */
const byTheWay = ["settings"];

/** Validates, and computes `diskIds`, so that preview shows whose disk is written anew. */
export async function check(olds: Properties, news: Properties): Promise<CheckResult> {
  const { failures } = checkArgs(turnSchema, news);
  const disks = turnSchema.shape.disks.safeParse(news["disks"]);
  if (!disks.success || disks.data === undefined) return { inputs: news, failures };
  const former = beforeOf(olds).diskIds;
  const diskIds: Record<string, string> = {};
  for (const [name, { image, generation }] of Object.entries(disks.data))
    try {
      const { digest } = await readDigest(image);
      diskIds[name] = identifyDisk(digest, generation);
    } catch (error) {
      if (!(error instanceof GroundworkError)) throw error;
      say(`${name}: whether its disk is written anew is not known. ${error.message}`);
      const known = former[name];
      if (known !== undefined) diskIds[name] = known;
    }
  return { inputs: { ...news, diskIds }, failures };
}

/** Nodes that come and go, and bounds of time, are kept up to date by the way. */
export function diff(
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<pulumi.dynamic.DiffResult> {
  const keys = Object.keys(turnSchema.shape).filter((key) => !byTheWay.includes(key));
  return Promise.resolve({
    changes: keys.some((key) => !sameValue(olds[key], news[key])),
    replaces: [],
  });
}

/** A node that is made has nobody to take leave of, and all of them come at once. */
export function create(inputs: Properties): Promise<{ id: string; outs: Properties }> {
  const { cluster, name, side } = turnSchema.parse(inputs);
  return Promise.resolve({ id: `${cluster}/${name}/${side}`, outs: inputs });
}

export async function update(
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<{ outs: Properties }> {
  const args = turnSchema.parse(news);
  const before = beforeOf(olds);
  if (!sameValue(olds["trigger"], news["trigger"]) || isRewritten(args, before, args.name))
    await (args.side === "leaves" ? leave(args, before) : comeBack(args));
  return { outs: news };
}

function beforeOf(olds: Properties): Before {
  const { nodes, diskIds } = turnSchema.shape;
  const [names, ids] = [nodes.safeParse(olds["nodes"]), diskIds.safeParse(olds["diskIds"])];
  return {
    nodes: names.success ? names.data.map(({ name }) => name) : [],
    diskIds: ids.data ?? {},
  };
}

import type * as pulumi from "@pulumi/pulumi";
import { checkArgs, type CheckResult, isUnknown, type Properties, sameValue } from "../handler.ts";
import { turnSchema } from "./core/arguments.ts";
import { comeBack, leave } from "./effects/turns.ts";

export function check(_olds: Properties, news: Properties): Promise<CheckResult> {
  return Promise.resolve({ inputs: news, failures: checkArgs(turnSchema, news).failures });
}

/** Nodes that come and go, and bounds of time, are kept up to date by the way. */
export function diff(
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<pulumi.dynamic.DiffResult> {
  return Promise.resolve({
    changes:
      isUnknown(news) ||
      Object.keys(turnSchema.shape).some((key) => !sameValue(olds[key], news[key])),
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
  if (!sameValue(olds["trigger"], news["trigger"]))
    await (args.side === "leaves" ? leave(args) : comeBack(args));
  return { outs: news };
}

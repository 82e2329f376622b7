import type * as pulumi from "@pulumi/pulumi";
import { checkBy, type Properties, sameValue } from "../handler.ts";
import { shutdownSchema } from "./core/arguments.ts";
import { shutDown } from "./effects/shut-down.ts";

export const check = checkBy(shutdownSchema);

/** Only `trigger` shuts the domain down; the rest is kept up to date by the way. */
export function diff(
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<pulumi.dynamic.DiffResult> {
  const keys = Object.keys(shutdownSchema.shape);
  return Promise.resolve({
    changes: keys.some((key) => !sameValue(olds[key], news[key])),
    replaces: [],
  });
}

/** Where a domain is made there is none to shut down. */
export function create(inputs: Properties): Promise<{ id: string; outs: Properties }> {
  return Promise.resolve({ id: shutdownSchema.parse(inputs).uuid, outs: inputs });
}

export async function update(
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<{ outs: Properties }> {
  const args = shutdownSchema.parse(news);
  if (olds["trigger"] !== args.trigger) await shutDown(args);
  return { outs: news };
}

import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { checkBy, type Properties } from "../handler.ts";
import { deriveKeyPair } from "./core/derive.ts";
import { runKeygen, runRecomment } from "./effects/ssh-keygen.ts";

const schema = z.strictObject({
  // A line end would split the public key file.
  comment: z.string().regex(/^[^\x00-\x1f\x7f]*$/, "must be one line of printable characters"),
  /** Only when it is made: a key that there is stays, whatever becomes of these. */
  seed: z.string().min(32, "must have 32 characters or more").optional(),
  purpose: z.string().optional(),
});

export const check = checkBy(schema);

/** A new comment is written into the same key: nothing ever replaces a key by itself. */
export function diff(
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<pulumi.dynamic.DiffResult> {
  return Promise.resolve({ changes: olds["comment"] !== news["comment"] });
}

export async function create(inputs: Properties): Promise<{ id: string; outs: Properties }> {
  const args = schema.parse(inputs);
  const { comment, seed, purpose = "" } = args;
  const keys =
    seed === undefined ? await runKeygen(comment) : deriveKeyPair(seed, purpose, comment);
  return { id: keys.publicKey.split(" ")[1] ?? keys.publicKey, outs: { ...args, ...keys } };
}

export async function update(
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<{ outs: Properties }> {
  const args = schema.parse(news);
  const { privateKey } = z.looseObject({ privateKey: z.string() }).parse(olds);
  return { outs: { ...args, ...(await runRecomment(privateKey, args.comment)) } };
}

import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { checkArgs, type CheckResult, type Properties } from "../handler.ts";
import { runKeygen, runRecomment } from "./effects/ssh-keygen.ts";

const schema = z.strictObject({
  // A line end would split the public key file.
  comment: z.string().regex(/^[^\x00-\x1f\x7f]*$/, "must be one line of printable characters"),
});

export function check(_olds: Properties, news: Properties): Promise<CheckResult> {
  return Promise.resolve({ inputs: news, failures: checkArgs(schema, news).failures });
}

/** A new comment is written into the same key: nothing ever replaces a key by itself. */
export function diff(
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<pulumi.dynamic.DiffResult> {
  return Promise.resolve({ changes: olds["comment"] !== news["comment"] });
}

export async function create(inputs: Properties): Promise<{ id: string; outs: Properties }> {
  const { comment } = schema.parse(inputs);
  const keys = await runKeygen(comment);
  return { id: keys.publicKey.split(" ")[1] ?? keys.publicKey, outs: { comment, ...keys } };
}

export async function update(
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<{ outs: Properties }> {
  const { comment } = schema.parse(news);
  const { privateKey } = z.looseObject({ privateKey: z.string() }).parse(olds);
  return { outs: { comment, ...(await runRecomment(privateKey, comment)) } };
}

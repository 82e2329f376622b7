import { randomBytes } from "node:crypto";
import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { checkBy, type Properties } from "../handler.ts";

const schema = z.strictObject({
  purpose: z.string().min(1),
  generation: z.number().int().nonnegative(),
});

export const check = checkBy(schema);

/** Nothing but another generation ever draws another token. */
export function diff(
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<pulumi.dynamic.DiffResult> {
  const { purpose, generation } = schema.parse(news);
  return Promise.resolve({
    changes: olds["purpose"] !== purpose || olds["generation"] !== generation,
  });
}

/** 256 bits; the id tells nothing of them. */
export function create(inputs: Properties): Promise<{ id: string; outs: Properties }> {
  const { purpose, generation } = schema.parse(inputs);
  return Promise.resolve({ id: purpose, outs: { purpose, generation, value: draw() } });
}

export function update(
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<{ outs: Properties }> {
  const { purpose, generation } = schema.parse(news);
  const value = olds["generation"] === generation ? z.string().parse(olds["value"]) : draw();
  return Promise.resolve({ outs: { purpose, generation, value } });
}

function draw(): string {
  return randomBytes(32).toString("hex");
}

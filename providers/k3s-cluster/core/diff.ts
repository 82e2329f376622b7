import { clusterSchema } from "./arguments.ts";

/** Only how long things may take: no reason to do anything. */
const bounds = ["timeoutSeconds", "drainTimeoutSeconds", "maxUnavailable"];

/** The arguments of which the cluster would become another one. */
export function changedArguments(
  olds: Record<string, unknown>,
  news: Record<string, unknown>,
  same: (one: unknown, other: unknown) => boolean,
): string[] {
  return Object.keys(clusterSchema.shape).filter(
    (key) => !bounds.includes(key) && !same(olds[key], news[key]),
  );
}

import type * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";

/** Arguments or state of a resource as Pulumi hands them over: nothing about them is known yet. */
export type Properties = Record<string, unknown>;

export interface CheckResult {
  /** The arguments to keep, with whatever `check` computed beside them. */
  inputs: Properties;
  failures: pulumi.dynamic.CheckFailure[];
}

/** The configuration of the stack; a key without a colon is one of the project's own. */
export interface StackConfig {
  get(key: string): string | undefined;
}

/**
 * What a handler module `providers/<name>/provider.ts` exports, one function each. Neither arguments
 * nor state contain `__provider`. During preview, arguments that hang on something not yet created
 * are `unknownValue`: `check` and `diff` must cope with it, the others never see it.
 *
 * A `GroundworkError` thrown by any of them reaches the user as one paragraph.
 */
export interface Handler {
  /** Called once per process, before anything else. */
  configure?: (config: StackConfig) => Promise<void> | void;
  check: (olds: Properties, news: Properties) => Promise<CheckResult>;
  /** `olds` are the old outputs, `news` the new inputs. */
  diff: (id: string, olds: Properties, news: Properties) => Promise<pulumi.dynamic.DiffResult>;
  create: (inputs: Properties) => Promise<{ id: string; outs: Properties }>;
  /** Default: what the state says is still true. An absent `id` means that the thing is gone. */
  read?: (
    id: string,
    props: Properties,
  ) => Promise<{ id?: string; props?: Properties; inputs?: Properties }>;
  /** Default: the new inputs become the outputs. May throw an `UnfinishedUpdate`. */
  update?: (id: string, olds: Properties, news: Properties) => Promise<{ outs: Properties }>;
  /** Default: there is nothing to remove. */
  delete?: (id: string, props: Properties) => Promise<void>;
}

/**
 * An update that broke off when the thing had ceased to be what the state said. Pulumi keeps `outs` and the
 * new inputs, and updates it in the next run whatever that one asks for, be it what there was before.
 */
export class UnfinishedUpdate extends Error {
  readonly outs: Properties;

  constructor(cause: Error, outs: Properties) {
    super(cause.message, { cause });
    this.outs = outs;
  }
}

/** Stands in for a value that Pulumi does not know yet. */
export const unknownValue = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** Whether a value, or anything inside it, is not known before the resources it hangs on exist. */
export function isUnknown(value: unknown): boolean {
  if (value === unknownValue) return true;
  if (Array.isArray(value)) return value.some(isUnknown);
  return typeof value === "object" && value !== null && Object.values(value).some(isUnknown);
}

/**
 * Reads the arguments of a resource. Those not known yet are left out of the examination; `args` is
 * there once all are known and right, `failures` tells every wrong one.
 */
export function checkArgs<Schema extends z.ZodObject>(
  schema: Schema,
  news: Properties,
): { args?: z.infer<Schema>; failures: pulumi.dynamic.CheckFailure[] } {
  const unknown = new Set(Object.keys(news).filter((key) => isUnknown(news[key])));
  const result = schema.safeParse(news);
  if (result.success)
    return unknown.size > 0 ? { failures: [] } : { args: result.data, failures: [] };
  const failures = result.error.issues
    .filter((issue) => !unknown.has(String(issue.path[0])))
    .map((issue) => ({
      // Pulumi prints the value beside a named property, so the path goes into the reason instead.
      property: "",
      reason: `${issue.path.length === 0 ? "the arguments" : issue.path.join(".")}: ${issue.message}`,
    }));
  return { failures };
}

/** The `check` of a handler that computes nothing: it holds the arguments against their schema. */
export function checkBy(schema: z.ZodObject): Handler["check"] {
  return (_olds, news) =>
    Promise.resolve({ inputs: news, failures: checkArgs(schema, news).failures });
}

/** Whether two argument or state values are the same, whatever the order of their keys. */
export function sameValue(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null)
    return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const left = Object.entries(one).filter(([, value]) => value !== undefined);
  const right = new Map(Object.entries(other).filter(([, value]) => value !== undefined));
  return (
    left.length === right.size && left.every(([key, value]) => sameValue(value, right.get(key)))
  );
}

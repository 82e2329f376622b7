import { z } from "zod";
import type { Problem } from "./problem.ts";
import { configSchema } from "./schema.ts";

type Schema = z.core.JSONSchema.BaseSchema;

const jsonSchema: unknown = z.toJSONSchema(configSchema, { io: "input" });

/** The part of the JSON Schema that describes a path; undefined where the path leads nowhere. */
function schemaAt(path: readonly PropertyKey[]): Schema | undefined {
  let schema = jsonSchema;
  for (const key of path) {
    if (typeof schema !== "object" || schema === null) return undefined;
    const { properties, items } = schema as Schema;
    schema = typeof key === "number" ? items : properties?.[String(key)];
  }
  return typeof schema === "object" && schema !== null ? (schema as Schema) : undefined;
}

function valueAt(raw: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null
        ? (value as Record<PropertyKey, unknown>)[key]
        : undefined,
    raw,
  );
}

/** A value in one line, cut where it is long. */
export function show(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

const nouns: Record<string, string> = {
  string: "text",
  int: "a whole number",
  number: "a number",
  boolean: "true or false",
  array: "a list",
  object: "a mapping of keys",
};

function bound(issue: z.core.$ZodIssueTooBig | z.core.$ZodIssueTooSmall): string {
  const limit =
    issue.code === "too_small"
      ? `at least ${String(issue.minimum)}`
      : `at most ${String(issue.maximum)}`;
  if (issue.origin === "array") return `a list of ${limit} elements`;
  if (issue.origin === "string") return `a text of ${limit} characters`;
  return `a whole number of ${limit}`;
}

function expectation(issue: z.core.$ZodIssue, schema: Schema | undefined): string {
  switch (issue.code) {
    case "invalid_type":
      return nouns[issue.expected] ?? issue.expected;
    case "too_big":
    case "too_small":
      return bound(issue);
    case "invalid_value":
      return `one of ${issue.values.map((value) => String(value)).join(", ")}`;
    case "invalid_format":
      return issue.format === "url" ? "an http or https URL" : issue.message;
    case "invalid_union":
      return schema?.description ?? issue.message;
    default:
      return issue.message;
  }
}

/** Turns what zod found into problems that name path, value, expectation and example. */
export function explain(issues: readonly z.core.$ZodIssue[], raw: unknown): Problem[] {
  return issues.flatMap((issue): Problem[] => {
    if (issue.code === "unrecognized_keys") {
      const known = Object.keys(schemaAt(issue.path)?.properties ?? {});
      return issue.keys.map((key) => ({
        path: [...issue.path, key],
        seen: "not a known key",
        expected: `one of ${known.join(", ")}`,
      }));
    }
    const schema = schemaAt(issue.path);
    const value = valueAt(raw, issue.path);
    const example = schema?.examples?.[0];
    return [
      {
        path: issue.path,
        ...(value !== undefined && { seen: show(value) }),
        expected: expectation(issue, schema),
        ...(example !== undefined && { example: show(example) }),
      },
    ];
  });
}

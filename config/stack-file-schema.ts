import { z } from "zod";
import { sections } from "./schema.ts";

/**
 * JSON Schema of a stack file Pulumi.<stack>.yaml, for editors. Only keys of ours are known to it;
 * those of Pulumi and of other namespaces are left alone.
 */
export function buildStackFileSchema(): Record<string, unknown> {
  const properties = Object.entries(sections).map(([name, schema]) => {
    const part = Object.entries(z.toJSONSchema(schema, { io: "input" }));
    const nested = Object.fromEntries(part.filter(([key]) => key !== "$schema"));
    return [`groundwork:${name}`, nested] as const;
  });
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Groundwork stack file",
    description: "A stack of Groundwork: Pulumi.<stack>.yaml",
    type: "object",
    properties: {
      config: {
        type: "object",
        properties: Object.fromEntries(properties),
        patternProperties: { "^(?!groundwork:)": {} },
        additionalProperties: false,
      },
    },
  };
}

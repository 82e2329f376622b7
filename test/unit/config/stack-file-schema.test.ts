import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { z } from "zod";
import { configSchema } from "../../../config/schema.ts";
import { buildStackFileSchema } from "../../../config/stack-file-schema.ts";

type Node = Record<string, unknown>;

/** Every part of a JSON Schema that describes a value, with its path. */
function* parts(schema: Node, at: string): Generator<[string, Node]> {
  yield [at, schema];
  for (const [key, child] of Object.entries((schema["properties"] ?? {}) as Record<string, Node>))
    yield* parts(child, `${at}.${key}`);
  if (schema["items"] !== undefined) yield* parts(schema["items"] as Node, `${at}[]`);
}

describe("buildStackFileSchema", () => {
  it("is what schemas/stack.schema.json says", () => {
    const file = path.resolve("schemas/stack.schema.json");
    assert.deepEqual(JSON.parse(fs.readFileSync(file, "utf8")), buildStackFileSchema());
  });

  it("refuses unknown keys everywhere", () => {
    const config = z.toJSONSchema(configSchema, { io: "input" }) as Node;
    for (const [at, part] of parts(config, "config"))
      if (part["properties"] !== undefined) assert.equal(part["additionalProperties"], false, at);
  });

  it("describes every option and gives an example that its own schema accepts", () => {
    const config = z.toJSONSchema(configSchema, { io: "input" }) as Node;
    for (const [at, part] of parts(config, "config")) {
      if (at === "config" || at.endsWith("[]")) continue;
      const [example] = (part["examples"] ?? []) as unknown[];
      assert.notEqual(part["description"], undefined, `${at} has no description`);
      assert.notEqual(example, undefined, `${at} has no example`);
      const parsed = z.fromJSONSchema(part).safeParse(example);
      assert.ok(parsed.success, `the example of ${at} is refused: ${JSON.stringify(example)}`);
    }
  });
});

describe("docs/configuration.md", () => {
  it("explains every option", () => {
    const text = fs.readFileSync(path.resolve("docs/configuration.md"), "utf8");
    const config = z.toJSONSchema(configSchema, { io: "input" }) as Node;
    for (const [at] of parts(config, "config")) {
      const name = /\.(\w+)$/.exec(at)?.[1];
      if (name !== undefined)
        assert.match(text, new RegExp(`\\b${name}\\b`), `${at} is not explained`);
    }
  });
});

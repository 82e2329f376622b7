import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { layoutOf } from "../core/layout.ts";
import type { EmbeddedFacts, EmbeddedOptions } from "../core/types.ts";

const factsSchema = z.object({
  hypervisor: z.union([
    z.object({ kind: z.literal("system"), uri: z.string() }),
    z.object({ kind: z.literal("embedded"), uri: z.string(), networkNamespace: z.string() }),
  ]),
  volumeGroup: z.object({
    kind: z.enum(["existing", "embedded"]),
    activation: z.enum(["device-mapper", "loop"]),
  }),
  objectStore: z.object({
    kind: z.enum(["existing", "embedded"]),
    endpoint: z.string(),
    credentialsFile: z.string(),
  }),
});

/** What was in use when we last succeeded; undefined when nothing is, or when it cannot be read. */
export function readFacts(
  options: Pick<EmbeddedOptions, "home" | "name">,
): EmbeddedFacts | undefined {
  const { facts } = layoutOf(options);
  if (!existsSync(facts)) return undefined;
  try {
    return factsSchema.parse(JSON.parse(readFileSync(facts, "utf8")));
  } catch {
    return undefined; // written by another version: what is there is observed anyway
  }
}

export function writeFacts(options: EmbeddedOptions, facts: EmbeddedFacts): void {
  const file = layoutOf(options).facts;
  writeFileSync(`${file}.new`, `${JSON.stringify(facts, undefined, 2)}\n`);
  renameSync(`${file}.new`, file);
}

import assert from "node:assert/strict";
import { buildProvider } from "../../tools/command-plugin/provider.ts";
import type { Values } from "../../tools/command-plugin/values.ts";

/** The lines that the plugin showed while it worked; empty it before a test that looks. */
export const logged: string[] = [];

/** The plugin's resources, without an engine. */
export const provider = buildProvider(
  () => ({ signal: new AbortController().signal, log: (_severity, line) => logged.push(line) }),
  () => undefined,
);

export const urnOf = (type: string): string => `urn:pulumi:test::tooltest::command:${type}::it`;

/** Checks the inputs of a resource, which must fit, and creates it. */
export async function create(type: string, inputs: Values): Promise<{ id: string; outs: Values }> {
  const urn = urnOf(type);
  const checked = await provider.check?.(urn, {}, inputs);
  assert.deepEqual(checked?.failures, []);
  return (await provider.create?.(urn, checked.inputs)) as { id: string; outs: Values };
}

export async function update(type: string, olds: Values, news: Values): Promise<Values> {
  return ((await provider.update?.("id", urnOf(type), olds, news)) as { outs: Values }).outs;
}

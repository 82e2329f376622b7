import { say } from "../telemetry/effects/log.ts";
import type * as pulumi from "@pulumi/pulumi";
import {
  checkArgs,
  type CheckResult,
  type Properties,
  sameValue,
  unknownValue,
} from "../handler.ts";
import { isUnreachable } from "../host/core/failure.ts";
import {
  argsSchema,
  factNames,
  factsSchema,
  type HostFactsInputs,
  type HostFactsValues,
  planFacts,
  refreshFacts,
} from "./core/facts.ts";
import { readHost } from "./effects/read-host.ts";

/**
 * Looks at the host while Pulumi checks the arguments, so that preview knows the facts. Facts once
 * found stay for as long as the arguments do. Where nobody answers they are left open: a preview goes
 * on, and an update fails when it looks once more.
 */
export async function check(olds: Properties, news: Properties): Promise<CheckResult> {
  const { args, failures } = checkArgs(argsSchema, argsOf(news));
  if (args === undefined) return { inputs: withoutFacts(argsOf(news)), failures };
  const old = readState(olds);
  if (old !== undefined && sameValue(old.args, args))
    return { inputs: { ...args, ...old.facts }, failures };
  const facts = await look(args).catch((error: unknown) => {
    if (!isUnreachable(error)) throw error;
    say(`${args.hypervisorUri}: what the host offers is not known. ${error.message}`);
    return undefined;
  });
  if (facts === undefined) return { inputs: withoutFacts(args), failures };
  if (facts.acceleratorReason !== "")
    say(
      `${args.hypervisorUri}: guests are emulated, for KVM runs none: ${facts.acceleratorReason}`,
    );
  return { inputs: { ...args, ...facts }, failures };
}

export function diff(
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<pulumi.dynamic.DiffResult> {
  return Promise.resolve({ changes: !sameValue(olds, news) });
}

export async function create(inputs: Properties): Promise<{ id: string; outs: Properties }> {
  return { id: String(inputs["hypervisorUri"]), outs: await completed(inputs) };
}

export async function update(
  _id: string,
  _olds: Properties,
  news: Properties,
): Promise<{ outs: Properties }> {
  return { outs: await completed(news) };
}

/** The facts that `check` found, or else those of another look. */
async function completed(inputs: Properties): Promise<Properties> {
  if (readState(inputs) !== undefined) return inputs;
  const args = argsSchema.parse(argsOf(inputs));
  return { ...args, ...(await look(args)) };
}

function withoutFacts(args: Properties): Properties {
  return { ...args, ...Object.fromEntries(factNames.map((name) => [name, unknownValue])) };
}

export async function read(
  id: string,
  props: Properties,
): Promise<{ id: string; props: Properties; inputs: Properties }> {
  const old = readState(props);
  if (old === undefined) return { id, props, inputs: props };
  const seen = await look({ ...old.args, requestedAccelerator: "qemu" });
  const current = { ...old.args, ...refreshFacts(old.facts, seen) };
  return { id, props: current, inputs: { ...current } };
}

async function look(args: HostFactsInputs): Promise<HostFactsValues> {
  const kvm = args.requestedAccelerator !== "qemu";
  const { name, probe } = await readHost(args.hypervisorUri, { kvm });
  return planFacts(args, probe, name);
}

/** Only what the user gives: check is handed nothing computed, but state is. */
function argsOf(properties: Properties): Properties {
  const computed = new Set<string>(factNames);
  return Object.fromEntries(Object.entries(properties).filter(([key]) => !computed.has(key)));
}

function readState(
  properties: Properties,
): { args: HostFactsInputs; facts: HostFactsValues } | undefined {
  const { requestedAccelerator, hypervisorUri, ...rest } = properties;
  const args = argsSchema.safeParse({ requestedAccelerator, hypervisorUri });
  const facts = factsSchema.safeParse(rest);
  return args.success && facts.success ? { args: args.data, facts: facts.data } : undefined;
}

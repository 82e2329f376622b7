import { say } from "../telemetry/effects/log.ts";
import type * as pulumi from "@pulumi/pulumi";
import { checkArgs, type CheckResult, type Properties, sameValue } from "../handler.ts";
import { isUnreachable } from "../host/core/failure.ts";
import { answers, openHost } from "../host/effects/host.ts";
import {
  argsSchema,
  factNames,
  factsSchema,
  lookAgain,
  type HostFactsInputs,
  type HostFactsValues,
  planFacts,
  refreshFacts,
  refuseAnotherHost,
} from "./core/facts.ts";
import { readHost } from "./effects/read-host.ts";

/**
 * Looks at the host while Pulumi checks the arguments, so that preview knows the facts. Facts once
 * found stay for as long as the arguments do. Where nobody answers `reachable` is left out, and with
 * it facts that were not found yet. What is left out a preview takes as not known and goes on, and an
 * update fails when it looks once more.
 */
export async function check(olds: Properties, news: Properties): Promise<CheckResult> {
  const { args, failures } = checkArgs(argsSchema, argsOf(news));
  if (args === undefined) return { inputs: argsOf(news), failures };
  const old = readState(olds);
  if (old !== undefined && sameValue(old.args, args)) {
    const reachable = await answers(args.hypervisorUri);
    if (!reachable)
      say(`${args.hypervisorUri}: nobody answers, so the plan goes by what was there.`);
    return { inputs: { ...args, ...old.facts, ...(reachable && { reachable }) }, failures };
  }
  if (old !== undefined) refuseAnotherHost(old.args.hypervisorUri, args.hypervisorUri);
  const facts = await look(args, old?.facts).catch((error: unknown) => {
    if (!isUnreachable(error)) throw error;
    say(`${args.hypervisorUri}: what the host offers is not known. ${error.message}`);
    return undefined;
  });
  if (facts === undefined) return { inputs: args, failures };
  if (facts.acceleratorReason !== "")
    say(
      `${args.hypervisorUri}: guests are emulated, for KVM runs none: ${facts.acceleratorReason}`,
    );
  return { inputs: { ...args, ...facts, reachable: true }, failures };
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
  olds: Properties,
  news: Properties,
): Promise<{ outs: Properties }> {
  return { outs: await completed(news, readState(olds)?.facts) };
}

/** The facts that `check` found, or else those of another look; the host must answer. */
async function completed(inputs: Properties, old?: HostFactsValues): Promise<Properties> {
  const known = readState(inputs);
  if (known === undefined) {
    const args = argsSchema.parse(argsOf(inputs));
    return { ...args, ...(await look(args, old)), reachable: true };
  }
  if (inputs["reachable"] !== true)
    await openHost(known.args.hypervisorUri).run("true", { purpose: "see whether it answers" });
  return { ...inputs, reachable: true };
}

export async function read(
  id: string,
  props: Properties,
): Promise<{ id: string; props: Properties; inputs: Properties }> {
  const old = readState(props);
  if (old === undefined) return { id, props, inputs: props };
  const seen = await look({ ...old.args, requestedAccelerator: "qemu" });
  const current = { ...old.args, ...refreshFacts(old.facts, seen), reachable: true };
  return { id, props: current, inputs: { ...current } };
}

/** Looks at a host, for which `old` facts may be known. */
async function look(args: HostFactsInputs, old?: HostFactsValues): Promise<HostFactsValues> {
  const kvm = args.requestedAccelerator !== "qemu";
  const { name, probe } = await readHost(args.hypervisorUri, { kvm });
  const seen = planFacts(args, probe, name);
  return old === undefined ? seen : lookAgain(old, seen);
}

const computedNames: readonly string[] = [...factNames, "reachable"];

/** Only what the user gives: check is handed nothing computed, but state is. */
function argsOf(properties: Properties): Properties {
  const computed = new Set(computedNames);
  return Object.fromEntries(Object.entries(properties).filter(([key]) => !computed.has(key)));
}

function readState(
  properties: Properties,
): { args: HostFactsInputs; facts: HostFactsValues } | undefined {
  const { requestedAccelerator, hypervisorUri } = properties;
  const args = argsSchema.safeParse({ requestedAccelerator, hypervisorUri });
  const facts = factsSchema.safeParse(properties);
  return args.success && facts.success ? { args: args.data, facts: facts.data } : undefined;
}

import type * as pulumi from "@pulumi/pulumi";
import { checkArgs, type CheckResult, isUnknown, type Properties, sameValue } from "../handler.ts";
import type { Host } from "../host/effects/host.ts";
import { say } from "../telemetry/effects/log.ts";
import { argumentsSchema, type ComposeProjectArguments } from "./core/arguments.ts";
import { composeError } from "./core/errors.ts";
import { environmentFile } from "./core/layout.ts";
import type { ProjectFile } from "./core/manifest.ts";
import type { PlanSummary } from "./core/plan.ts";
import { deploy, desiredFiles, examine } from "./effects/project.ts";
import { readProject, removeProject } from "./effects/remove.ts";
import { openTarget } from "./effects/target.ts";

/** Validates, and computes `files` and `plan`, so that preview shows them. */
export async function check(_olds: Properties, news: Properties): Promise<CheckResult> {
  const { args, failures } = checkArgs(argumentsSchema, news);
  if (failures.length > 0) return { inputs: news, failures };
  if (args === undefined) return { inputs: { ...news, plan: unknownPlan("its host") }, failures };
  const files = await desiredFiles(args);
  const inputs = { ...args, files: digests(files) };
  const host = openTarget(args);
  if (host === undefined)
    return { inputs: { ...inputs, plan: unknownPlan("its machine") }, failures };
  try {
    const { summary } = await examine(host, args, files);
    return { inputs: { ...inputs, plan: summary }, failures };
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    say(`${args.project}: the plan is unknown. ${error.message}`);
    return { inputs: { ...inputs, plan: { steps: [], unknown: error.message } }, failures };
  }
}

function unknownPlan(what: string): PlanSummary {
  return { steps: [], unknown: `${what} is not there yet` };
}

/** Where nobody answers, a preview goes on without knowing; an answer that is an error ends it. */
function isUnreachable(error: unknown): error is Error {
  const codes = ["host-unreachable", "host-connection-lost", "command-timed-out"];
  return error instanceof Error && codes.includes((error as { code?: string }).code ?? "");
}

/** The files by name, with digest and mode; not `.env`, which holds secrets. */
function digests(files: readonly ProjectFile[]): Record<string, string> {
  return Object.fromEntries(
    files
      .filter(({ path }) => path !== environmentFile)
      .map(({ path, sha256, mode }) => [path, `${sha256.slice(0, 16)} ${mode}`]),
  );
}

/** Another place is another project; data stay where they were, and are removed as `deleteData` says. */
const replacing = ["host", "path", "project"];
/** What concerns later commands only, or nothing on the host. */
const quiet = ["plan", "folder", "engine", "images", "archives", "lockTimeoutSeconds"];

/** A plan that has something to do is a change, too: somebody stopped a service or changed a file. */
export function diff(
  _id: string,
  olds: Properties,
  inputs: Properties,
): Promise<pulumi.dynamic.DiffResult> {
  const keys = [...Object.keys(argumentsSchema.shape), "files"];
  const known = keys.filter((key) => !isUnknown(inputs[key]));
  // What an older version of this provider wrote lacks arguments, and means their defaults.
  const former = argumentsSchema.safeParse(pick(olds));
  const before: Properties = { ...olds, ...(former.success && former.data) };
  const changed = known.filter(
    (key) => !quiet.includes(key) && !sameValue(before[key], inputs[key]),
  );
  const steps = (inputs["plan"] as PlanSummary | undefined)?.steps ?? [];
  return Promise.resolve({
    changes: changed.length > 0 || steps.length > 0 || isUnknown(inputs),
    replaces: changed.filter((key) => replacing.includes(key)),
    deleteBeforeReplace: true,
  });
}

export async function create(inputs: Properties): Promise<{ id: string; outs: Properties }> {
  const outs = await ensure(inputs);
  const { host, path } = argumentsOf(inputs);
  return { id: `${host}:${path}`, outs };
}

export async function update(
  _id: string,
  _olds: Properties,
  inputs: Properties,
): Promise<{ outs: Properties }> {
  return { outs: await ensure(inputs) };
}

async function ensure(inputs: Properties): Promise<Properties> {
  const args = argumentsOf(inputs);
  await deploy(target(args), args, say);
  return { ...inputs, plan: { steps: [] } satisfies PlanSummary };
}

/** What is on the host shows as drift; a project that is gone is made anew. */
export async function read(
  id: string,
  props: Properties,
): Promise<{ id?: string; props?: Properties; inputs?: Properties }> {
  const args = argumentsOf(props);
  const host = openTarget(args);
  if (host === undefined) return {};
  const files = await readProject(host, args);
  if (files === undefined) return {};
  const seen = { ...props, files };
  return { id, props: seen, inputs: seen };
}

async function remove(_id: string, props: Properties): Promise<void> {
  const args = argumentsOf(props);
  const host = openTarget(args);
  // Its machine went before it, and took the project along.
  if (host !== undefined) await removeProject(host, args);
}
export { remove as delete };

function target(args: ComposeProjectArguments): Host {
  const host = openTarget(args);
  if (host !== undefined) return host;
  throw composeError(
    "machine-unknown",
    `Cannot deploy project "${args.project}": stack ${args.stack} has no ${args.host.replace(":", " ")}.`,
    "Name a machine of the stack, and let the project depend on it.",
  );
}

function argumentsOf(properties: Properties): ComposeProjectArguments {
  return argumentsSchema.parse(pick(properties));
}

/** The arguments among the properties. */
function pick(properties: Properties): Properties {
  const names = Object.keys(argumentsSchema.shape);
  return Object.fromEntries(Object.entries(properties).filter(([key]) => names.includes(key)));
}

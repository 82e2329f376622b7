import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { GroundworkError } from "../errors.ts";
import { checkBy, isUnknown, type Properties, sameValue } from "../handler.ts";
import { hostOf } from "../host/core/connection.ts";
import { uriOnHost } from "../host/core/uri-on-host.ts";
import { type Host, openHost } from "../host/effects/host.ts";
import { type Folder, foreign, renderEnsure, renderProbe, renderRemove } from "./core/scripts.ts";

const schema = z.strictObject({
  hypervisorUri: z.string().min(1),
  path: z
    .string()
    .regex(
      /^(?!.*\/\.\.?(\/|$))(\/[^/\r\n]+){2,}$/,
      "must be an absolute path of two or more components, without . and ..",
    ),
  subfolders: z.array(z.string().regex(/^[a-z]+$/, "must be one lower-case word")),
  owner: z.string().regex(/^[A-Za-z0-9_.-]+\/[A-Za-z0-9_.-]+$/, "must be <project>/<stack>"),
  hypervisor: z.string().min(1).optional(),
});

export const check = checkBy(schema);

export function diff(
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<pulumi.dynamic.DiffResult> {
  const changed = Object.keys(schema.shape).filter((key) => !sameValue(olds[key], news[key]));
  const replaces = changed.filter((key) =>
    key === "hypervisorUri"
      ? namesAnotherHost(olds[key], news[key])
      : !["subfolders", "hypervisor"].includes(key),
  );
  return Promise.resolve({
    changes: changed.length > 0,
    replaces,
    // A folder elsewhere on the host goes last: the domains that use it have moved by then.
    deleteBeforeReplace: !replaces.includes("path"),
  });
}

function namesAnotherHost(old: unknown, now: unknown): boolean {
  return !isUnknown(now) && hostOf(String(old)) !== hostOf(String(now));
}

async function run(host: Host, folder: Folder, script: string, purpose: string): Promise<void> {
  const output = await host.run(script, { purpose });
  if (output.trim() !== foreign) return;
  const { owner, hypervisor } = folder;
  const whose = hypervisor === undefined ? owner : `hypervisor "${hypervisor}" of ${owner}`;
  throw new GroundworkError({
    code: "folder-not-ours",
    message: `Cannot ${purpose} on ${host.name}: it is in use and does not belong to ${whose}.`,
    next: "Set `pool: { path }` of the hypervisor to another folder, or empty this one if nothing needs it.",
  });
}

async function ensure(inputs: Properties): Promise<string> {
  const args = schema.parse(inputs);
  const host = openHost(args.hypervisorUri);
  await run(host, args, renderEnsure(args), `create the folder ${args.path}`);
  return args.path;
}

export async function create(inputs: Properties): Promise<{ id: string; outs: Properties }> {
  return { id: await ensure(inputs), outs: inputs };
}

export async function update(
  _id: string,
  _olds: Properties,
  news: Properties,
): Promise<{ outs: Properties }> {
  await ensure(news);
  return { outs: news };
}

export async function read(
  id: string,
  props: Properties,
): Promise<{ id?: string; props?: Properties; inputs?: Properties }> {
  const args = schema.parse(props);
  const host = openHost(args.hypervisorUri);
  const state = await host.run(renderProbe(args), { purpose: `look at the folder ${args.path}` });
  return state.trim() === "present" ? { id, props, inputs: props } : {};
}

export async function remove(_id: string, props: Properties): Promise<void> {
  const args = schema.parse(props);
  const host = openHost(args.hypervisorUri);
  const script = renderRemove(args, uriOnHost(host.connection));
  await run(host, args, script, `remove the folder ${args.path}`);
}

export { remove as delete };

import { say } from "../telemetry/effects/log.ts";
import type * as pulumi from "@pulumi/pulumi";
import * as path from "node:path";
import { z } from "zod";
import { checkArgs, type CheckResult, type Properties, sameValue } from "../handler.ts";
import { uuidPattern } from "../image-volume/core/layout.ts";
import { readPower, startDomain } from "./effects/power.ts";
import { ensureSshEntry, removeSshEntry } from "./effects/ssh-files.ts";
import { waitUntilReady } from "./effects/wait-until-ready.ts";

// These go into ssh_config and file names, so each is held to what it can be.
const schema = z.strictObject({
  stack: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, "must be the name of a stack"),
  machine: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, "must be the name of a machine"),
  hypervisorUri: z.string().min(1),
  uuid: z.string().regex(uuidPattern, "must be a UUID in lower case"),
  address: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.:-]*$/, "must be an address or a host name"),
  user: z.string().regex(/^[A-Za-z_][A-Za-z0-9_.-]*$/, "must be a user name"),
  privateKey: z.string().min(1),
  hostPublicKey: z
    .string()
    .regex(/^ssh-ed25519 [A-Za-z0-9+/=]+( .*)?$/, "must be one line: ssh-ed25519 AAAA…"),
  serialLogPath: z.string().startsWith("/", "must be an absolute path"),
  timeoutSeconds: z.number().positive(),
  triggers: z.array(z.unknown()),
});

const keys = Object.keys(schema.shape);

/** Validates, and computes `start` for a machine that would change in nothing and is off. */
export async function check(olds: Properties, news: Properties): Promise<CheckResult> {
  const inputs = withoutStart(news);
  const { args, failures } = checkArgs(schema, inputs);
  if (args === undefined || changedKeys(olds, news).length > 0) return { inputs, failures };
  const power = await readPower(args.hypervisorUri, args.uuid);
  if (power === "missing")
    say(
      `${args.machine}: its domain was removed from ${args.hypervisorUri}, of which Pulumi knows nothing; ` +
        `\`eval "$(make -s env STACK=${args.stack})"; npx pulumi refresh -s ${args.stack}\` tells it, and \`up\` makes it again then.`,
    );
  return { inputs: { ...inputs, ...(power === "off" && { start: true }) }, failures };
}

function withoutStart(properties: Properties): Properties {
  return Object.fromEntries(Object.entries(properties).filter(([key]) => key !== "start"));
}

function changedKeys(olds: Properties, news: Properties): string[] {
  return keys.filter((key) => !sameValue(olds[key], news[key]));
}

/** Whatever changed, the machine is waited for again; another machine is another resource. */
export function diff(
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<pulumi.dynamic.DiffResult> {
  const changed = changedKeys(olds, news);
  return Promise.resolve({
    changes: changed.length > 0 || news["start"] === true || olds["ready"] === false,
    replaces: changed.filter((key) => key === "machine" || key === "stack"),
    deleteBeforeReplace: true,
  });
}

export async function create(inputs: Properties): Promise<{ id: string; outs: Properties }> {
  const outs = await ensureReady(inputs);
  return { id: `${String(outs["stack"])}/${String(outs["machine"])}`, outs };
}

export async function update(
  _id: string,
  _olds: Properties,
  news: Properties,
): Promise<{ outs: Properties }> {
  return { outs: await ensureReady(news) };
}

/** A machine that is off is not ready, and without its domain there is none to be. */
export async function read(
  id: string,
  props: Properties,
): Promise<{ id?: string; props?: Properties }> {
  const { data } = schema.pick({ hypervisorUri: true, uuid: true }).loose().safeParse(props);
  const power = data && (await readPower(data.hypervisorUri, data.uuid));
  if (power === "missing") return {};
  return { id, props: power === "off" ? { ...props, ready: false } : props };
}

async function remove(_id: string, props: Properties): Promise<void> {
  const { stack, machine } = schema.pick({ stack: true, machine: true }).loose().parse(props);
  await removeSshEntry({ home: home(), stack, name: machine });
}
export { remove as delete };

async function ensureReady(inputs: Properties): Promise<Properties> {
  const args = schema.parse(withoutStart(inputs));
  const { stack, serialLogPath, timeoutSeconds, hypervisorUri, uuid } = args;
  const machine = {
    name: args.machine,
    address: args.address,
    user: args.user,
    hostPublicKey: args.hostPublicKey,
    hypervisorUri,
  };
  const networkNamespace = process.env["GROUNDWORK_NETWORK_NAMESPACE"];
  // Before the wait, so that a machine that does not become ready can be looked into.
  const { configFile } = await ensureSshEntry({
    home: home(),
    stack,
    machine,
    privateKey: args.privateKey,
    networkNamespace,
  });
  if ((await readPower(hypervisorUri, uuid, { fresh: true })) === "off") {
    say(`${args.machine}: it is off, and is started`);
    await startDomain(hypervisorUri, args.machine, uuid);
  }
  await waitUntilReady({
    machine,
    configFile,
    networkNamespace,
    serialLogPath,
    timeoutSeconds,
    report: say,
  });
  return { ...args, ready: true };
}

/** Pulumi starts us in the project's folder. */
function home(): string {
  return process.env["GROUNDWORK_HOME"] ?? path.resolve(".groundwork");
}

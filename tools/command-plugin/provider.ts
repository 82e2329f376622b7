import { randomBytes } from "node:crypto";
import type { Provider } from "@pulumi/pulumi/provider/index.js";
import { copyToRemote, needsCopy } from "./copy-to-remote.ts";
import { changedInputs, checkInputs, parseType, pickInputs } from "./inputs.ts";
import type { ResourceType } from "./inputs.ts";
import { runLocal } from "./local-command.ts";
import { runRemote } from "./remote-command.ts";
import { readOutputs, readText } from "./run-context.ts";
import type { Outputs, RunContext } from "./run-context.ts";
import type { Values } from "./values.ts";

export const version = "1.2.1";

/** Gives out the context in which the commands of one resource run. */
export type ContextFor = (urn: string) => RunContext;

const noOutputs: Outputs = { stdout: "", stderr: "" };

/** The plugin's resources. Nothing is run in previews: the engine does not call create, update or delete then. */
export function buildProvider(contextFor: ContextFor, cancel: () => void): Provider {
  return {
    version,
    check: async (urn: string, _olds: Values, news: Values) => {
      const { inputs, failures } = checkInputs(parseType(urn), news);
      return Promise.resolve({ inputs, failures: [...failures] });
    },
    diff: async (_id: string, urn: string, olds: Values, news: Values) => {
      const changed = changedInputs(parseType(urn), olds, news);
      const replaces = changed.filter((name) => name === "triggers");
      return Promise.resolve({ changes: changed.length > 0, replaces });
    },
    create: async (urn: string, inputs: Values) => ({
      id: buildId(urn),
      outs: await create(parseType(urn), inputs, contextFor(urn)),
    }),
    update: async (_id: string, urn: string, olds: Values, news: Values) => ({
      outs: await update(parseType(urn), olds, news, contextFor(urn)),
    }),
    delete: async (_id: string, urn: string, state: Values) => {
      const type = parseType(urn);
      const command = readText(state, "delete");
      if (type === "remote:CopyToRemote" || command === undefined) return;
      await run(type, command, state, readOutputs(state), contextFor(urn));
    },
    invoke: async (token: string, inputs: Values) => {
      if (token !== "command:local:run")
        throw new Error(`The stand-in for the command plugin has no function "${token}".`);
      const command = readText(inputs, "command") ?? "";
      const outputs = await runLocal(command, inputs, noOutputs, contextFor(""));
      return { outputs: { ...inputs, ...outputs } };
    },
    cancel: () => {
      cancel();
      return Promise.resolve();
    },
  };
}

async function create(type: ResourceType, inputs: Values, context: RunContext): Promise<Values> {
  const kept = pickInputs(type, inputs);
  if (type === "remote:CopyToRemote") {
    await copyToRemote(inputs, context);
    return kept;
  }
  const command = readText(inputs, "create");
  if (command === undefined) return { ...kept, ...noOutputs };
  return { ...kept, ...(await run(type, command, inputs, noOutputs, context)) };
}

async function update(
  type: ResourceType,
  olds: Values,
  news: Values,
  context: RunContext,
): Promise<Values> {
  const kept = pickInputs(type, news);
  if (type === "remote:CopyToRemote") {
    if (needsCopy(olds, news)) await copyToRemote(news, context);
    return kept;
  }
  const previous = readOutputs(olds);
  const command = readText(news, "update") ?? readText(news, "create");
  if (command === undefined) return { ...kept, ...previous };
  return { ...kept, ...(await run(type, command, news, previous, context)) };
}

async function run(
  type: "local:Command" | "remote:Command",
  command: string,
  inputs: Values,
  previous: Outputs,
  context: RunContext,
): Promise<Values> {
  const runner = type === "local:Command" ? runLocal : runRemote;
  return runner(command, inputs, previous, context);
}

function buildId(urn: string): string {
  return `${urn.split("::").at(-1) ?? ""}${randomBytes(4).toString("hex")}`;
}

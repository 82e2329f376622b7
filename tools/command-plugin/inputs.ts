import { isObject, isSame, isUnknown, makeSecret, readSource, reveal } from "./values.ts";
import type { Value, Values } from "./values.ts";

export type ResourceType = "local:Command" | "remote:Command" | "remote:CopyToRemote";

type Kind = "text" | "flag" | "list" | "texts" | "map" | "connection" | "source" | "logging";

/** An input that does not fit, as the engine reports it. */
export interface Failure {
  readonly property: string;
  readonly reason: string;
}

const command = {
  create: "text",
  update: "text",
  delete: "text",
  stdin: "text",
  logging: "logging",
  environment: "map",
  triggers: "list",
  addPreviousOutputInEnv: "flag",
} as const;

/** The inputs of each resource, as in the schema of plugin 1.2.1. */
const schema: Readonly<Record<ResourceType, Readonly<Record<string, Kind>>>> = {
  "local:Command": {
    ...command,
    dir: "text",
    interpreter: "texts",
    assetPaths: "texts",
    archivePaths: "texts",
  },
  "remote:Command": { ...command, connection: "connection" },
  "remote:CopyToRemote": {
    connection: "connection",
    source: "source",
    remotePath: "text",
    triggers: "list",
  },
};

const loggings: readonly string[] = ["stdout", "stderr", "stdoutAndStderr", "none"];

const required: ReadonlySet<string> = new Set(["connection", "source", "remotePath"]);

/** The resource that a URN names. Throws for one that the stand-in does not have. */
export function parseType(urn: string): ResourceType {
  const type =
    urn
      .split("::")[2]
      ?.split("$")
      .at(-1)
      ?.replace(/^command:/, "") ?? "";
  if (Object.hasOwn(schema, type)) return type as ResourceType;
  throw new Error(
    `The stand-in for the command plugin has no resource "command:${type}"; it has ` +
      `${Object.keys(schema).join(", ")}. Use one of them, or a machine that can download the real plugin.`,
  );
}

/** The inputs that go on, connection as a secret, and what does not fit. Unknown values fit everywhere. */
export function checkInputs(
  type: ResourceType,
  news: Values,
): { readonly inputs: Values; readonly failures: readonly Failure[] } {
  const inputs = pickInputs(type, news);
  const { connection } = inputs;
  const failures = Object.entries(schema[type]).flatMap(([property, kind]) => {
    const reason = checkInput(property, kind, inputs[property]);
    return reason === undefined ? [] : [{ property, reason }];
  });
  const strange = Object.keys(news).filter(
    (name) => !Object.hasOwn(inputs, name) && name !== "version" && !name.startsWith("__"),
  );
  return {
    inputs: connection === undefined ? inputs : { ...inputs, connection: makeSecret(connection) },
    failures: [
      ...failures,
      ...strange.map((property) => ({ property, reason: `${type} has no such input` })),
    ],
  };
}

function checkInput(property: string, kind: Kind, value: Value | undefined): string | undefined {
  if (value === undefined || value === null)
    return required.has(property) ? "is required" : undefined;
  if (isUnknown(value)) return undefined;
  const plain = reveal(value);
  const isTexts = (items: readonly unknown[]): boolean =>
    items.every((item) => typeof item === "string");
  switch (kind) {
    case "text":
      return typeof plain === "string" ? undefined : "must be a string";
    case "flag":
      return typeof plain === "boolean" ? undefined : "must be true or false";
    case "list":
      return Array.isArray(plain) ? undefined : "must be a list";
    case "texts":
      return Array.isArray(plain) && isTexts(plain) ? undefined : "must be a list of strings";
    case "map":
      return isObject(plain) && isTexts(Object.values(plain))
        ? undefined
        : "must map names to strings";
    case "connection":
      return isObject(plain) && typeof plain["host"] === "string" ? undefined : "needs a host";
    case "logging":
      return typeof plain === "string" && loggings.includes(plain)
        ? undefined
        : 'must be "stdout", "stderr", "stdoutAndStderr" or "none"';
    case "source":
      return checkSource(plain);
  }
}

function checkSource(value: Value | undefined): string | undefined {
  const source = readSource(value);
  if (source === undefined) return "must be an asset or an archive";
  if (source.path !== undefined) return undefined;
  if (source.kind === "archive") return "must be the path of a file or directory";
  return source.text === undefined ? "must be a file or a text" : undefined;
}

/** The inputs that changed between a resource's state and its new inputs. */
export function changedInputs(type: ResourceType, state: Values, news: Values): string[] {
  return Object.keys(schema[type]).filter(
    (name) => isUnknown(news[name]) || !isSame(state[name], news[name]),
  );
}

/** What of a property bag is input of the resource. */
export function pickInputs(type: ResourceType, values: Values): Values {
  const own = Object.keys(schema[type]).filter((name) => values[name] !== undefined);
  return Object.fromEntries(own.map((name) => [name, values[name]]));
}

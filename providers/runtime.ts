import * as fs from "node:fs";
import { type Handler, type Properties, type StackConfig, UnfinishedUpdate } from "./handler.ts";
import type { Method } from "./register.js";
import type { HandlerName } from "./stub.ts";
import { describeFailure } from "./telemetry/core/settings.ts";
import { logFailure } from "./telemetry/effects/log.ts";
import { count, flushTelemetry, inSpan } from "./telemetry/effects/telemetry.ts";

/** Every handler, loaded when it is first needed. */
const handlers: Record<HandlerName, () => Promise<Handler>> = {
  "compose-project": () => import("./compose-project/provider.ts"),
  "domain-shutdown": () => import("./domain-shutdown/provider.ts"),
  "image-cache": () => import("./image-cache/provider.ts"),
  "image-volume": () => import("./image-volume/provider.ts"),
  "k3s-cluster": () => import("./k3s-cluster/provider.ts"),
  "k3s-turn": () => import("./k3s-turn/provider.ts"),
  "key-pair": () => import("./key-pair/provider.ts"),
  "host-facts": () => import("./host-facts/provider.ts"),
  "host-folder": () => import("./host-folder/provider.ts"),
  "machine-ready": () => import("./machine-ready/provider.ts"),
  "random-token": () => import("./random-token/provider.ts"),
};

/** Runs one method of a handler, with the defaults and the manners described in handler.ts. */
export async function runHandler(name: string, method: Method, args: unknown[]): Promise<unknown> {
  prepareProcess();
  if (!Object.hasOwn(handlers, name)) throw new Error(`There is no dynamic provider "${name}".`);
  const configured = configurationOf(name);
  try {
    const handler = await handlers[name as HandlerName]();
    if (method === "configure") {
      await handler.configure?.((args[0] as { config: StackConfig }).config);
      configured.resolve();
      return undefined;
    }
    // Pulumi does not wait for `configure` before the second resource's first call.
    await configured.promise;
    return await traced(name, method, () => call(handler, method, args));
  } catch (error) {
    if (method === "configure") configured.reject(error);
    if (method === "check" && isOurs(error))
      return { inputs: strip(args[1]), failures: [{ property: "", reason: error.message }] };
    throw present(error, method);
  }
}

/** One span per call; it is sent before Pulumi hears of the end, for then it may end this process. */
async function traced(name: string, method: Method, work: () => unknown): Promise<unknown> {
  const attributes = { "groundwork.provider": name, "groundwork.method": method };
  try {
    return await inSpan(`${name} ${method}`, attributes, async () => {
      try {
        return await work();
      } catch (error) {
        count({
          ...{ name: "groundwork.failures", unit: "{failure}", value: 1 },
          attributes: { ...attributes, ...describeFailure(error) },
        });
        logFailure(error, attributes);
        throw error;
      }
    });
  } finally {
    await flushTelemetry();
  }
}

async function call(
  handler: Handler,
  method: Exclude<Method, "configure">,
  args: unknown[],
): Promise<unknown> {
  const id = args[0] as string;
  switch (method) {
    case "check":
      return handler.check(strip(args[0]), strip(args[1]));
    case "diff":
      return handler.diff(id, strip(args[1]), strip(args[2]));
    case "create":
      return handler.create(strip(args[0]));
    case "read":
      return handler.read?.(id, strip(args[1])) ?? { id, props: strip(args[1]) };
    case "update":
      try {
        return (
          (await handler.update?.(id, strip(args[1]), strip(args[2]))) ?? {
            outs: strip(args[2]),
          }
        );
      } catch (error) {
        throw error instanceof UnfinishedUpdate ? unfinished(error, id, args[2]) : error;
      }
    case "delete":
      return handler.delete?.(id, strip(args[1]));
  }
}

/** The cause, with what Pulumi's host looks for in an error to keep a state in spite of it. */
function unfinished(
  { cause, outs, message }: UnfinishedUpdate,
  id: string,
  news: unknown,
): unknown {
  const { __provider } = news as Properties;
  return Object.assign(cause as Error, {
    ...{ id, properties: { ...outs, __provider }, reasons: [message] },
  });
}

function strip(properties: unknown): Properties {
  const entries = Object.entries((properties ?? {}) as Properties);
  return Object.fromEntries(entries.filter(([key]) => key !== "__provider"));
}

/** A promise that the call of `configure` settles. */
interface Configuration {
  promise: Promise<void>;
  resolve: () => void;
  reject: (reason: unknown) => void;
}

const configurations = new Map<string, Configuration>();

function configurationOf(name: string): Configuration {
  const existing = configurations.get(name);
  if (existing !== undefined) return existing;
  let resolve: Configuration["resolve"] = () => undefined;
  let reject: Configuration["reject"] = () => undefined;
  const promise = new Promise<void>((...settle) => ([resolve, reject] = settle));
  promise.catch(() => undefined); // whoever waits for it reports the failure
  const created = { promise, resolve, reject };
  configurations.set(name, created);
  return created;
}

/** By name, for the class may have been loaded twice: by this program and by its test. */
function isOurs(error: unknown): error is Error {
  return error instanceof Error && error.name === "GroundworkError";
}

const silenced = "(groundwork: said once already)";

/**
 * Pulumi's host prints the stack of what `check`, `diff`, `read` and `delete` throw and then the
 * message; for our own errors the message is enough. What `create` and `update` throw is never
 * printed with its stack, which would hide where a mistake of ours is.
 */
function present(error: unknown, method: Method): unknown {
  if (isOurs(error)) {
    if (method !== "create" && method !== "update")
      Object.assign(error, { toString: () => silenced });
    return error;
  }
  if (method === "create" || method === "update")
    console.error(error instanceof Error ? error.stack : error);
  return error;
}

let prepared = false;

/** Prepares the process that hosts dynamic providers; anywhere else this does nothing. */
function prepareProcess(): void {
  if (prepared || !/[\\/]cmd[\\/]dynamic-provider\b/.test(process.argv[1] ?? "")) return;
  prepared = true;
  const print = console.error.bind(console);
  console.error = (...words: unknown[]) => {
    if (!String(words[0]).startsWith(silenced)) print(...words);
  };
  // Pulumi holds the other end of our standard input: when it is killed we end too, and with us
  // every script on a host (see host/core/script.ts), instead of working on unseen.
  const stdin = fs.fstatSync(0);
  if (!stdin.isFIFO() && !stdin.isSocket()) return;
  process.stdin.on("close", () => process.exit(1)).on("error", () => process.exit(1));
  process.stdin.resume();
}

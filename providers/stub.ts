import type * as pulumi from "@pulumi/pulumi";
import type { Method } from "./register.js";

/** The handler modules: `providers/<name>/provider.ts` for each. */
export type HandlerName =
  | "compose-project"
  | "domain-shutdown"
  | "image-cache"
  | "image-volume"
  | "k3s-cluster"
  | "k3s-turn"
  | "key-pair"
  | "host-facts"
  | "host-folder"
  | "machine-ready"
  | "random-token";

/**
 * The provider that Pulumi serialises into state for every dynamic resource of this package.
 *
 * It holds nothing but the handler's name: each method imports the handler module of the checkout
 * at hand, so state stays small and old state runs current code. A method that the handler leaves
 * out gets the default described in handler.ts.
 */
export function handlerStub(name: HandlerName): Required<pulumi.dynamic.ResourceProvider> {
  const cached = stubs.get(name);
  if (cached !== undefined) return cached;
  // Whatever these functions capture is written into state, so they capture `name` and no more.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- Pulumi's interface says any
  const call = async (method: Method, ...args: unknown[]): Promise<any> =>
    (await import("@groundwork/providers/register.js")).run(name, method, ...args);
  const stub: Required<pulumi.dynamic.ResourceProvider> = {
    configure: (request) => call("configure", request),
    check: (olds, news) => call("check", olds, news),
    diff: (id, olds, news) => call("diff", id, olds, news),
    create: (inputs) => call("create", inputs),
    read: (id, props) => call("read", id, props),
    update: (id, olds, news) => call("update", id, olds, news),
    delete: (id, props) => call("delete", id, props),
  };
  stubs.set(name, stub);
  return stub;
}

/** One stub per handler: Pulumi serialises each object once, so a hundred resources cost as one. */
const stubs = new Map<HandlerName, Required<pulumi.dynamic.ResourceProvider>>();

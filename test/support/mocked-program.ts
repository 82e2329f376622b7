import * as pulumi from "@pulumi/pulumi";

/** A resource that a program registered. */
export interface Registered {
  type: string;
  name: string;
  /** As the provider would get them; secrets are marked (see isMarkedSecret). */
  inputs: Record<string, unknown>;
  options: pulumi.CustomResourceOptions;
  /** Name and type of the parent; undefined below the stack itself. */
  parent?: string;
}

export interface MockedRun<T> {
  /** What the program returned. */
  result: T;
  resources: Registered[];
  /** The one resource of a type, and of a name where there are more. */
  one: (type: string, name?: string) => Registered;
}

type Answer = (type: string, name: string, inputs: Record<string, unknown>) => object;

const secretSign = "4dabf18193072939515e22adb298388d";

/** Whether an input went to the engine as a secret, and so would be encrypted in the state. */
export function isMarkedSecret(value: unknown): boolean {
  return typeof value === "object" && value !== null && secretSign in value;
}

/**
 * Runs a program under Pulumi's mocks and records what it registers.
 *
 * @param answer the outputs of a resource beside its inputs; those of a created one are known.
 */
export async function runMocked<T>(
  program: () => T | Promise<T>,
  options: { preview: boolean; answer: Answer },
): Promise<MockedRun<T>> {
  const results: T[] = [];
  const inputsOf = new Map<string, Record<string, unknown>>();
  const resources: Registered[] = [];
  await pulumi.runtime.setMocks(
    {
      call: () => ({}),
      newResource: ({ type, name, inputs: any }) => {
        const inputs = any as Record<string, unknown>;
        inputsOf.set(`${type}::${name}`, inputs);
        const state = { ...inputs, ...options.answer(type, name, inputs) };
        return { id: options.preview ? undefined : `${name}-id`, state };
      },
    },
    "groundwork",
    "lab",
    options.preview,
  );
  await pulumi.runtime.runInPulumiStack(async () => {
    pulumi.runtime.registerStackTransformation(({ resource, type, name, opts }) => {
      const { parent } = opts;
      const named = parent instanceof pulumi.ComponentResource ? nameOf(parent) : undefined;
      resources.push({
        type,
        name,
        inputs: {},
        options: opts,
        ...(named !== undefined && { parent: named }),
      });
      names.set(resource, name);
      return undefined;
    });
    results.push(await program());
  });
  await pulumi.runtime.disconnect();
  for (const each of resources) each.inputs = inputsOf.get(`${each.type}::${each.name}`) ?? {};
  const [result] = results;
  if (result === undefined) throw new Error("the program returned nothing");
  return {
    result,
    resources,
    one: (type, name) => {
      const found = resources.filter(
        (each) => each.type.endsWith(type) && (name === undefined || each.name === name),
      );
      const [only] = found;
      if (only === undefined || found.length > 1)
        throw new Error(`${String(found.length)} resources of type ${type}, and not one`);
      return only;
    },
  };
}

const names = new WeakMap<pulumi.Resource, string>();
const nameOf = (resource: pulumi.Resource): string | undefined => names.get(resource);

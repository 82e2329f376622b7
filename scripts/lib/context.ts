import * as fs from "node:fs/promises";
import * as path from "node:path";
import { parse } from "yaml";
import { type Config, parseConfig } from "../../config.ts";
import { GroundworkError } from "../../providers/errors.ts";
import { hideEncrypted } from "./stack-file.ts";
import { checkout, type Environment, loadEnvironment, variable } from "./environment.ts";

/** The name of the Pulumi project, as Pulumi.yaml has it. */
export const project = "groundwork";

/** Everything about a stack that is known without asking Pulumi. */
export interface Context {
  stack: string;
  checkout: string;
  /** Absolute path of Pulumi.<stack>.yaml. */
  stackFile: string;
  /** `.groundwork`: state, passphrase, SSH files and embedded parts of this checkout. */
  home: string;
  /** Tools and built images, shared by all checkouts of this user. */
  cache: string;
  config: Config;
  environment: Environment;
}

/**
 * The `config` of a stack file's text, without what is encrypted in it.
 * @throws GroundworkError `bad-stack-file`
 */
export function parseStackFile(text: string, file: string): Record<string, unknown> {
  let document: unknown;
  try {
    document = parse(text);
  } catch (cause) {
    throw new GroundworkError({
      code: "bad-stack-file",
      message: `Cannot read ${file}: ${(cause as Error).message}.`,
      next: "Mend the YAML, then run the same command again.",
      cause,
    });
  }
  const config = (document as { config?: unknown } | null)?.config ?? {};
  return hideEncrypted(config) as Record<string, unknown>;
}

async function readStackFile(file: string, stack: string): Promise<string> {
  try {
    return await fs.readFile(file, "utf8");
  } catch (cause) {
    const names = (await fs.readdir(checkout)).flatMap(
      (name) => /^Pulumi\.(.+)\.yaml$/.exec(name)?.[1] ?? [],
    );
    throw new GroundworkError({
      code: "unknown-stack",
      message: `There is no stack "${stack}": ${file} is missing.`,
      next: `Write that file, or choose one of: ${names.join(", ")}.`,
      cause,
    });
  }
}

function stackFileOf(stack: string): string {
  return path.join(checkout, `Pulumi.${stack}.yaml`);
}

/**
 * Reads the configuration of a stack.
 *
 * @throws GroundworkError `unknown-stack`, `bad-stack-file`, `bad-configuration`.
 */
export async function readConfig(stack: string): Promise<Config> {
  const file = stackFileOf(stack);
  return parseConfig(parseStackFile(await readStackFile(file, stack), file));
}

/** Whether a stack uses the embedded parts; nothing tells that one whose file is gone does not. */
export async function mayUseEmbedded(stack: string): Promise<boolean> {
  try {
    return (await readConfig(stack)).embedded !== undefined;
  } catch (error) {
    if (error instanceof GroundworkError && error.code === "unknown-stack") return true;
    throw error;
  }
}

/**
 * Reads the configuration of a stack, and takes over its environment.
 *
 * @throws GroundworkError as readConfig does, and `environment`.
 */
export async function readContext(stack: string): Promise<Context> {
  const stackFile = stackFileOf(stack);
  const config = await readConfig(stack);
  const environment = await loadEnvironment(stack);
  return {
    stack,
    checkout,
    stackFile,
    home: variable(environment, "GROUNDWORK_HOME"),
    cache: variable(environment, "GROUNDWORK_CACHE"),
    config,
    environment,
  };
}

/** The context with the environment as it is now, after embedded parts were started or stopped. */
export async function refreshContext(context: Context): Promise<Context> {
  return { ...context, environment: await loadEnvironment(context.stack) };
}

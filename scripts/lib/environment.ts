import { execa } from "execa";
import * as path from "node:path";
import { GroundworkError } from "../../providers/errors.ts";

/** The top folder of this checkout. */
export const checkout = path.resolve(import.meta.dirname, "../..");

/** The variables that Pulumi, the program and these scripts run with. */
export type Environment = Record<string, string>;

/** Reads the output of `env -0`. */
export function parseEnvironment(text: string): Environment {
  return Object.fromEntries(
    text
      .split("\0")
      .filter((entry) => entry.includes("="))
      .map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
  );
}

/**
 * The environment as `eval "$(make -s env)"` would make it for a stack, taken over by this process
 * too, since the parts that run in it read it at their edges. Call it again after the embedded
 * parts changed.
 *
 * @throws GroundworkError `environment` when scripts/env refuses, such as for a lost passphrase.
 */
export async function loadEnvironment(stack: string): Promise<Environment> {
  const script = 'exports=$(scripts/env "$1") && eval "$exports" && exec env -0';
  const result = await execa("bash", ["-c", script, "env", stack], {
    cwd: checkout,
    reject: false,
    stripFinalNewline: false,
  });
  if (result.exitCode !== 0)
    throw new GroundworkError({
      code: "environment",
      message: `The environment of stack "${stack}" cannot be made.`,
      next: result.stderr.trim(),
    });
  const environment = parseEnvironment(result.stdout);
  Object.assign(process.env, environment);
  delete process.env["PULUMI_CONFIG_PASSPHRASE"]; // which scripts/env unsets
  return environment;
}

/** A variable that scripts/env always prints. */
export function variable(environment: Environment, name: string): string {
  const value = environment[name];
  if (value === undefined || value === "") throw new Error(`scripts/env does not print ${name}`);
  return value;
}

import { reveal, secretTexts } from "./values.ts";
import type { Values } from "./values.ts";

/** What a running command needs of the plugin. */
export interface RunContext {
  /** Shows a line below the resource while it is worked on. */
  readonly log: (severity: "info" | "warning", line: string) => void;
  readonly signal: AbortSignal;
}

/** What every command leaves in the state. */
export interface Outputs {
  readonly stdout: string;
  readonly stderr: string;
}

/** The previous run's output as environment variables, unless the inputs say no. */
export function previousOutput(inputs: Values, previous: Outputs): Record<string, string> {
  if (reveal(inputs["addPreviousOutputInEnv"]) === false) return {};
  return {
    ...(previous.stdout === "" ? {} : { PULUMI_COMMAND_STDOUT: previous.stdout }),
    ...(previous.stderr === "" ? {} : { PULUMI_COMMAND_STDERR: previous.stderr }),
  };
}

/** The output that the state of a resource holds. */
export function readOutputs(state: Values): Outputs {
  return { stdout: readText(state, "stdout") ?? "", stderr: readText(state, "stderr") ?? "" };
}

/** True when lines of a stream are to be shown while the command runs. */
export function isLogged(inputs: Values, stream: "stdout" | "stderr"): boolean {
  const logging = readText(inputs, "logging") ?? "stdoutAndStderr";
  return logging === "stdoutAndStderr" || logging === stream;
}

export function readText(values: Values, name: string): string | undefined {
  const value = reveal(values[name]);
  return typeof value === "string" ? value : undefined;
}

/** A map of texts; empty when the input is not given. */
export function readMap(values: Values, name: string): Record<string, string> {
  return { ...(reveal(values[name]) as Record<string, string> | undefined) };
}

/** A list of texts; `undefined` when the input is not given. */
export function readList(values: Values, name: string): readonly string[] | undefined {
  return reveal(values[name]) as readonly string[] | undefined;
}

/** What the state keeps of a stream: all but the last end of line. */
export function trimOutput(text: string): string {
  return text.replace(/\n$/, "");
}

/** The error of a command that failed: how, which, and everything it wrote, without the secrets among the inputs. */
export function describeFailure(
  result: {
    readonly code: number | null;
    readonly endedBy: string | null;
    readonly output: string;
  },
  command: string,
  inputs: Values,
): Error {
  const how =
    result.code === null
      ? `signal: ${result.endedBy ?? "unknown"}`
      : `exit status ${String(result.code)}`;
  const text = `${how}: running ${JSON.stringify(command)}:\n${result.output}`;
  const hidden = secretTexts(inputs)
    .filter((secret) => secret.length > 2)
    .sort((a, b) => b.length - a.length)
    .reduce(
      (shown, secret) =>
        shown
          .replaceAll(secret, "[secret]")
          .replaceAll(JSON.stringify(secret).slice(1, -1), "[secret]"),
      text,
    );
  return new Error(hidden);
}

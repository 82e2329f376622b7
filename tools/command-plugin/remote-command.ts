import { parseConnection } from "./connection.ts";
import {
  describeFailure,
  isLogged,
  previousOutput,
  readMap,
  readText,
  trimOutput,
} from "./run-context.ts";
import type { Outputs, RunContext } from "./run-context.ts";
import { runOverSsh } from "./ssh.ts";
import type { Values } from "./values.ts";

const refused = "groundwork-refused-variable";

/**
 * Reads the command (its length is the first word) from the front of standard input, so that it stands in no argument
 * list on this side, and runs it by the login shell with the rest. The other words are variables that the command
 * needs; those with a `+` it can do without.
 */
const script = `
size=$1; shift; missing=
for name in "$@"; do
  eval "test \\"\\\${\${name#+}+x}\\"" && continue
  printf '${refused} %s\\n' "$name" >&2
  case $name in +*) ;; *) missing=1 ;; esac
done
test -z "$missing" || exit 1
command=$(dd bs=1 count="$size" 2>/dev/null; printf x)
exec "\${SHELL:-/bin/sh}" -c "\${command%x}"
`;

/** Runs a command on a server. */
export async function runRemote(
  command: string,
  inputs: Values,
  previous: Outputs,
  context: RunContext,
): Promise<Values> {
  const required = readMap(inputs, "environment");
  const optional = previousOutput(inputs, previous);
  const unset = new Set<string>();
  const result = await runOverSsh(
    parseConnection(inputs["connection"]),
    {
      script,
      words: [
        String(Buffer.byteLength(command)),
        ...Object.keys(required),
        ...Object.keys(optional).map((name) => `+${name}`),
      ],
      feed: (stdin) => {
        stdin.end(command + (readText(inputs, "stdin") ?? ""));
      },
      environment: { ...required, ...optional },
      onLine: (stream, line) => {
        const name =
          stream === "stderr" && line.startsWith(refused) ? line.split(" ")[1] : undefined;
        if (name === undefined) {
          if (isLogged(inputs, stream)) context.log("info", line);
          return true;
        }
        unset.add(name);
        if (name.startsWith("+")) context.log("warning", explainRefusal(name.slice(1)));
        return false;
      },
    },
    context,
  );
  const needed = [...unset].find((name) => !name.startsWith("+"));
  if (needed !== undefined) throw new Error(explainRefusal(needed));
  if (result.code !== 0) throw describeFailure(result, command, inputs);
  return { stdout: trimOutput(result.stdout), stderr: trimOutput(result.stderr) };
}

function explainRefusal(name: string): string {
  return (
    `Unable to set '${name}'. This only works if the SSH server accepts the variable by AcceptEnv. ` +
    "Alternatively, begin the command itself with the variable: VAR=value command."
  );
}

import * as fs from "node:fs";
import { readAssets } from "./globs.ts";
import { runProcess } from "./process.ts";
import {
  describeFailure,
  isLogged,
  previousOutput,
  readList,
  readMap,
  readText,
  trimOutput,
} from "./run-context.ts";
import type { Outputs, RunContext } from "./run-context.ts";
import { buildArchive } from "./values.ts";
import type { Values } from "./values.ts";

/** Runs a command on this machine, by `/bin/sh -c` unless `interpreter` says otherwise, in `dir` or the project. */
export async function runLocal(
  command: string,
  inputs: Values,
  previous: Outputs,
  context: RunContext,
): Promise<Values> {
  const interpreter = readList(inputs, "interpreter") ?? [];
  const [file = "/bin/sh", ...options] = interpreter.length > 0 ? interpreter : ["/bin/sh", "-c"];
  const directory = readText(inputs, "dir") ?? process.cwd();
  if (!fs.existsSync(directory)) throw new Error(`chdir ${directory}: no such file or directory`);

  const result = await runProcess({
    file,
    arguments: [...options, command],
    directory,
    environment: {
      ...process.env,
      ...readMap(inputs, "environment"),
      ...previousOutput(inputs, previous),
    },
    feed: (stdin) => {
      stdin.end(readText(inputs, "stdin") ?? "");
    },
    onLine: (stream, line) => {
      if (isLogged(inputs, stream)) context.log("info", line);
      return true;
    },
    signal: context.signal,
  });
  if (result.code !== 0) throw describeFailure(result, command, inputs);

  const assetPaths = readList(inputs, "assetPaths");
  const archivePaths = readList(inputs, "archivePaths");
  return {
    stdout: trimOutput(result.stdout),
    stderr: trimOutput(result.stderr),
    ...(assetPaths === undefined ? {} : { assets: readAssets(directory, assetPaths) }),
    ...(archivePaths === undefined
      ? {}
      : { archive: buildArchive(readAssets(directory, archivePaths)) }),
  };
}

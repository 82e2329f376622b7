/** What the engine asks to be run, freed of its protobuf clothing. */
export interface ProgramRun {
  readonly engineAddress: string;
  readonly monitorAddress: string;
  readonly organization: string;
  readonly project: string;
  readonly stack: string;
  /** Directory of the program; its modules are found from here. */
  readonly programDirectory: string;
  /** Directory the program changes to before it runs. */
  readonly workingDirectory: string;
  /** Directory of Pulumi.yaml. */
  readonly rootDirectory: string;
  /** Path of the program, or `.` for the package's own entry point. */
  readonly entryPoint: string;
  readonly arguments: readonly string[];
  readonly dryRun: boolean;
  /** How many resource operations may run at once; 0 leaves it to the SDK. */
  readonly parallel: number;
  readonly config: Readonly<Record<string, string>>;
  readonly secretKeys: readonly string[];
  /** `runtime.options` of Pulumi.yaml. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** The Node.js process that runs a program: arguments of `node`, and what its environment gets on top. */
export interface ProgramCommand {
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** How a run ended, in the engine's words: nothing, an error to show, or "bail": the program has told the user. */
export interface RunOutcome {
  readonly error?: string;
  readonly bail?: boolean;
}

/** The SDK's exit code for "the user has been told already". */
const alreadyReported = 32;

/**
 * The command line of the SDK's own runner. Honours the runtime options `nodeargs` (split as a shell would) and
 * `typescript` (default true: the SDK compiles the program by ts-node).
 */
export function buildProgramCommand(run: ProgramRun, runScript: string): ProgramCommand {
  const { nodeargs } = run.options;
  const flags: readonly (readonly [string, string])[] = [
    ["--monitor", run.monitorAddress],
    ["--engine", run.engineAddress],
    ["--organization", run.organization],
    ["--project", run.project],
    ["--root-directory", run.rootDirectory],
    ["--stack", run.stack],
    ["--pwd", run.workingDirectory],
    ["--parallel", run.parallel > 0 ? String(run.parallel) : ""],
  ];
  return {
    arguments: [
      ...splitArguments(typeof nodeargs === "string" ? nodeargs : ""),
      runScript,
      ...flags.filter(([, value]) => value !== "").map(([flag, value]) => `${flag}=${value}`),
      ...(run.dryRun ? ["--dry-run"] : []),
      run.entryPoint === "" ? "." : run.entryPoint,
      ...run.arguments,
    ],
    environment: {
      PULUMI_CONFIG: JSON.stringify(run.config),
      PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(run.secretKeys),
      PULUMI_NODEJS_TYPESCRIPT: String(isTypeScript(run.options["typescript"])),
    },
  };
}

/** What the exit of the program's process means to the engine. */
export function interpretExit(code: number | null, signal: string | null): RunOutcome {
  if (code === 0) return {};
  if (code === alreadyReported) return { bail: true };
  return code === null
    ? { error: `Program was ended by signal ${signal ?? "unknown"}` }
    : { error: `Program exited with non-zero exit code: ${String(code)}` };
}

/** Splits words as a shell does: blanks part them, quotes and backslashes keep blanks. */
export function splitArguments(text: string): string[] {
  const words = text.match(/(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/gs) ?? [];
  return words.map((word) =>
    word.replace(
      /\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'/gs,
      (_match, escaped?: string, double?: string, single?: string) =>
        escaped ?? double?.replace(/\\(["\\])/g, "$1") ?? single ?? "",
    ),
  );
}

function isTypeScript(option: unknown): boolean {
  return option === undefined || option === true || option === "true";
}

import { GroundworkError } from "../providers/errors.ts";

/** One thing that is wrong in a stack's configuration. */
export interface Problem {
  /** Keys and indices from the section on, such as `["machines", 0, "vcpus"]`. */
  path: readonly PropertyKey[];
  /** What stands there, as shown to the user; undefined where nothing does. */
  seen?: string;
  /** What should stand there. */
  expected: string;
  /** A value that would do, as YAML in one line; undefined where none helps. */
  example?: string;
}

export function renderPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${String(key)}]`;
    return text === "" ? `groundwork:${String(key)}` : `${text}.${String(key)}`;
  }, "");
}

function renderProblem(problem: Problem): string {
  const seen = problem.seen === undefined ? "is missing" : `is ${problem.seen}`;
  const example = problem.example === undefined ? "" : `, for example ${problem.example}`;
  return `  ${renderPath(problem.path)} ${seen}; expected ${problem.expected}${example}`;
}

/** All that is wrong with a configuration, in one error with the code `bad-configuration`. */
export class ConfigError extends GroundworkError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const count = problems.length === 1 ? "1 problem" : `${String(problems.length)} problems`;
    const message = `The configuration has ${count}:\n${problems.map(renderProblem).join("\n")}`;
    super({
      code: "bad-configuration",
      message,
      next: "Mend Pulumi.<stack>.yaml (every option: docs/configuration.md) and run the same command again.",
    });
    this.name = "ConfigError";
    this.message = `${message}\n${this.next}`; // the list wants the next step on a line of its own
    this.problems = problems;
  }
}

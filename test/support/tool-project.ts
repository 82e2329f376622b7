import { execa } from "execa";
import * as fs from "node:fs";
import * as path from "node:path";
import { compileScripts, renderLauncher } from "../../scripts/lib/tools-make.ts";
import { pulumiHome, toolPaths } from "../../scripts/lib/tools-paths.ts";
import { type Scratch, makeScratch } from "./scratch.ts";

const checkout = path.resolve(import.meta.dirname, "../..");

/** What a run of the CLI came to. */
export interface CliResult {
  readonly exitCode: number | undefined;
  /** Both streams, in order. */
  readonly output: string;
}

/**
 * A Pulumi project of the test's own, with a file backend, the installed CLI, and the language host and command plugin
 * compiled from this checkout's sources.
 */
export interface ToolProject {
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  /** The CLI's own file, for tests that start it themselves. */
  readonly cli: string;
  /** Writes index.ts. */
  program(source: string): void;
  /** Runs `pulumi <args> --non-interactive`. */
  run(...args: string[]): Promise<CliResult>;
  /** As `run`, and throws with the output when it does not exit with 0. */
  succeed(...args: string[]): Promise<string>;
  /** The stack's outputs, secrets shown. */
  outputs(): Promise<Record<string, unknown>>;
  remove(): void;
}

/** Makes a project with the stack `test`. Call `requireNeeds(this, ["pulumi"])` before. */
export async function makeToolProject(purpose: string): Promise<ToolProject> {
  const scratch = makeScratch(purpose);
  const folder = path.join(scratch.folder, "project");
  const home = path.join(scratch.folder, "pulumi");
  const paths = toolPaths({ ...process.env, PULUMI_HOME: home });
  await installTools(scratch, paths);
  fs.mkdirSync(folder);
  fs.mkdirSync(path.join(scratch.folder, "state"));
  fs.symlinkSync(path.join(checkout, "node_modules"), path.join(folder, "node_modules"));
  const write = (name: string, text: string): void => {
    fs.writeFileSync(path.join(folder, name), text);
  };
  write(
    "Pulumi.yaml",
    `name: tooltest
runtime:
  name: nodejs
  options:
    typescript: false
    nodeargs: --import=tsx/esm --import=${path.join(checkout, "tools/inspect-guard.mjs")}
`,
  );
  write(
    "package.json",
    JSON.stringify({
      name: "tooltest",
      type: "module",
      main: "index.ts",
      dependencies: { "@pulumi/pulumi": "*" },
    }),
  );
  const environment = {
    PULUMI_HOME: home,
    PULUMI_BACKEND_URL: `file://${path.join(scratch.folder, "state")}`,
    PULUMI_CONFIG_PASSPHRASE: "test",
    PULUMI_SKIP_UPDATE_CHECK: "true",
  };
  const run = async (...args: string[]): Promise<CliResult> => {
    const result = await execa(paths.pulumi, [...args, "--non-interactive"], {
      cwd: folder,
      env: environment,
      reject: false,
      all: true,
      stdin: "ignore",
    });
    return { exitCode: result.exitCode, output: result.all };
  };
  const succeed = async (...args: string[]): Promise<string> => {
    const { exitCode, output } = await run(...args);
    if (exitCode === 0) return output;
    throw new Error(`pulumi ${args.join(" ")} exited with ${String(exitCode)}:\n${output}`);
  };
  await succeed("stack", "init", "test");
  return {
    ...{ folder, environment, run, succeed, cli: paths.pulumi },
    program: (source) => {
      write("index.ts", source);
    },
    outputs: async () => {
      const { exitCode, output } = await run("stack", "output", "--json", "--show-secrets");
      if (exitCode !== 0) throw new Error(output);
      return JSON.parse(output) as Record<string, unknown>;
    },
    remove: () => {
      scratch.remove();
    },
  };
}

async function installTools(scratch: Scratch, paths: ReturnType<typeof toolPaths>): Promise<void> {
  const installed = toolPaths({ ...process.env, PULUMI_HOME: pulumiHome(process.env) });
  fs.mkdirSync(path.dirname(paths.pulumi), { recursive: true });
  try {
    fs.linkSync(installed.pulumi, paths.pulumi);
  } catch {
    fs.copyFileSync(installed.pulumi, paths.pulumi); // another file system
  }
  for (const tool of ["language-host", "command-plugin"] as const) {
    const compiled = path.join(scratch.folder, tool);
    fs.mkdirSync(compiled);
    await compileScripts(path.join(checkout, "tools", tool), compiled);
    fs.mkdirSync(path.dirname(paths[tool]), { recursive: true });
    const launcher = renderLauncher(path.join(compiled, "main.js"));
    fs.writeFileSync(paths[tool], launcher, { mode: 0o755 });
  }
}

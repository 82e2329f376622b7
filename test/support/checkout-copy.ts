import { execa } from "execa";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { describeTree, endTree, makeScratch } from "./scratch.ts";

const checkout = path.resolve(import.meta.dirname, "../..");

/** What came of a command. */
export interface Outcome {
  exitCode: number | undefined;
  /** Standard output and error as they came. */
  output: string;
}

/** A command that runs; `output` grows. */
export interface Running {
  readonly output: () => string;
  readonly done: Promise<Outcome>;
}

/** This checkout as it stands, uncommitted changes included, in a folder of its own. */
export interface CheckoutCopy {
  readonly folder: string;
  readonly home: string;
  readonly stack: string;
  /** Absolute path of the stack file. */
  readonly stackFile: string;
  /** Starts `make <target> STACK=<stack>`, as a user would. */
  make: (target: string, args?: string) => Running;
  /**
   * Runs a command line in a shell that has evaluated `make -s env`.
   * @param seconds after which it is ended and the output says what hung; default: no limit
   */
  shell: (command: string, seconds?: number) => Promise<Outcome>;
  remove: () => void;
}

function run(file: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(file, args, { encoding: "utf8", cwd: checkout });
  if (status !== 0) throw new Error(`${file} failed: ${stderr}`);
}

/** Copies what Git knows and what it would add, with the installed packages. */
function copyInto(folder: string): void {
  const { stdout } = spawnSync(
    "git",
    ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    { cwd: checkout, encoding: "utf8", maxBuffer: 64 * 1024 ** 2 },
  );
  for (const name of stdout.split("\0").filter((each) => each !== "")) {
    const [from, to] = [path.join(checkout, name), path.join(folder, name)];
    if (!fs.existsSync(from)) continue; // removed, and not yet committed
    fs.mkdirSync(path.dirname(to), { recursive: true });
    fs.copyFileSync(from, to);
  }
  run("cp", ["-a", path.join(checkout, "sdks/libvirt/bin"), path.join(folder, "sdks/libvirt/bin")]);
  run("cp", ["-a", path.join(checkout, "node_modules"), path.join(folder, "node_modules")]);
}

/** The variables of this process that a fresh terminal would not have are left out. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = ["GROUNDWORK_CACHE", "GROUNDWORK_TOOLS", "PULUMI_HOME"];
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) =>
        kept.includes(name) || !/^(GROUNDWORK_|PULUMI_|LIBVIRT_|MINIO_|MAKE|STACK$)/.test(name),
    ),
  );
}

/** Makes a copy with one stack file more. */
export function copyCheckout(stack: string, stackFileText: string): CheckoutCopy {
  const scratch = makeScratch("e2e");
  const folder = path.join(scratch.folder, "checkout");
  copyInto(folder);
  const stackFile = path.join(folder, `Pulumi.${stack}.yaml`);
  fs.writeFileSync(stackFile, stackFileText);

  function start(file: string, args: readonly string[], seconds?: number): Running {
    let output = "";
    const child = execa(file, args, {
      cwd: folder,
      env: cleanEnvironment(),
      extendEnv: false,
      stdin: "ignore",
      all: true,
      reject: false,
      buffer: false,
    });
    child.all.setEncoding("utf8").on("data", (text: string) => (output += text));
    const late = (): void => {
      output += `\nEnded after ${String(seconds)} s, when this ran:\n${describeTree(child.pid ?? 0)}`;
      endTree(child.pid);
    };
    const limit = seconds === undefined ? undefined : setTimeout(late, seconds * 1000);
    const done = child.then(({ exitCode }) => ({ exitCode, output }));
    return { output: () => output, done: done.finally(() => clearTimeout(limit)) };
  }

  return {
    folder,
    home: path.join(folder, ".groundwork"),
    stack,
    stackFile,
    make: (target, args = "") => start("make", ["-s", target, `STACK=${stack}`, `ARGS=${args}`]),
    shell: (command, seconds) =>
      start("bash", ["-c", `eval "$(make -s env STACK=${stack})" && ${command}`], seconds).done,
    remove: () => scratch.remove(),
  };
}

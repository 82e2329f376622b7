import { execa } from "execa";
import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { toolPaths } from "../../scripts/lib/tools-paths.ts";
import { cacheFolder } from "./needs.ts";
import { makeScratch, type Scratch } from "./scratch.ts";

const checkout = path.resolve(import.meta.dirname, "../..");

/** A Pulumi project in a folder of its own, with a backend of its own. Needs ["pulumi"]. */
export class PulumiProject {
  readonly #scratch: Scratch = makeScratch("project");
  readonly folder = this.#scratch.folder;
  readonly #env: Record<string, string>;

  /** @param env added to the environment of Pulumi, and so of its providers. */
  constructor(env: Record<string, string> = {}) {
    this.#env = {
      PULUMI_HOME: process.env["PULUMI_HOME"] ?? path.join(cacheFolder(), "pulumi"),
      PULUMI_BACKEND_URL: `file://${this.folder}/state`,
      PULUMI_CONFIG_PASSPHRASE: "test",
      PULUMI_SKIP_UPDATE_CHECK: "true",
      GROUNDWORK_HOME: path.join(this.folder, "home"),
      ...env,
    };
    fs.mkdirSync(path.join(this.folder, "state"));
    fs.symlinkSync(path.join(checkout, "node_modules"), path.join(this.folder, "node_modules"));
    this.write("package.json", JSON.stringify({ type: "module", main: "index.ts" }));
    this.write(
      "Pulumi.yaml",
      "name: test\nruntime: { name: nodejs, options: { typescript: false, nodeargs: --import=tsx/esm } }\n",
    );
  }

  write(file: string, text: string): void {
    fs.writeFileSync(path.join(this.folder, file), text);
  }

  /** Sets the program. `imports` maps names to modules of this checkout. */
  program(imports: Record<string, string>, body: string): void {
    const lines = Object.entries(imports).map(
      ([name, file]) => `import { ${name} } from ${JSON.stringify(path.join(checkout, file))};\n`,
    );
    this.write("index.ts", lines.join("") + body);
  }

  /** Starts the Pulumi CLI; the result has its exit code and, in `all`, what it printed. */
  pulumi(...args: string[]) {
    // Not by npx, which takes more time than many a test.
    return execa(
      toolPaths(this.#env).pulumi,
      ["--non-interactive", "--cwd", this.folder, ...args],
      {
        cwd: checkout,
        env: this.#env,
        all: true,
        reject: false,
      },
    );
  }

  /** Runs the Pulumi CLI, which must succeed; returns its standard output. */
  async succeed(...args: string[]): Promise<string> {
    const result = await this.pulumi(...args);
    assert.equal(result.exitCode, 0, result.all);
    return result.stdout;
  }

  /** Everything the backend keeps on disk, history and backups included. */
  stateFiles(): string {
    return fs
      .readdirSync(path.join(this.folder, "state"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => fs.readFileSync(path.join(entry.parentPath, entry.name), "utf8"))
      .join("\n");
  }

  /** Removes the folder; what the stack made outside is for `destroy` to remove before. */
  remove(): void {
    this.#scratch.remove();
  }
}

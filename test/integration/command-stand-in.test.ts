import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Values } from "../../tools/command-plugin/values.ts";
import { create, logged, provider, update, urnOf } from "../support/command-plugin.ts";
import { requireNeeds } from "../support/needs.ts";
import { makeScratch, type Scratch } from "../support/scratch.ts";
import { makeToolProject, type ToolProject } from "../support/tool-project.ts";

describe("command stand-in", function () {
  this.timeout(240_000);

  describe("under the real CLI", () => {
    let project: ToolProject;
    const cleanUps: (() => void)[] = [];
    const program = (args: string): void => {
      project.program(`
        import * as pulumi from "@pulumi/pulumi";
        import { local } from "@pulumi/command";
        const it = new local.Command("it", ${args});
        export const { stdout, stderr } = it;
      `);
    };
    const journal = (): string[] => {
      const file = path.join(project.folder, "journal");
      return fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim().split("\n") : [];
    };
    before(async function () {
      requireNeeds(this, ["pulumi"]);
      project = await makeToolProject("command");
      cleanUps.push(() => {
        project.remove();
      });
    });
    after(() => {
      for (const cleanUp of cleanUps) cleanUp();
    });

    it("runs nothing in a preview", async () => {
      program('{ create: "echo create >> journal" }');
      assert.match(await project.succeed("preview"), /command:local:Command it create/);
      assert.deepEqual(journal(), []);
    });

    it("creates, updates with the previous output, replaces by triggers and deletes", async () => {
      const commands = `create: "echo create >> journal; echo made $WHAT",
        update: "echo update after $PULUMI_COMMAND_STDOUT >> journal; echo changed $WHAT",
        delete: "echo delete after $PULUMI_COMMAND_STDOUT >> journal"`;
      program(`{ ${commands}, environment: { WHAT: "one" }, triggers: [1] }`);
      await project.succeed("up", "--yes", "--skip-preview");
      assert.deepEqual(await project.outputs(), { stdout: "made one", stderr: "" });

      const unchanged = await project.succeed(
        "up",
        "--yes",
        "--skip-preview",
        "--expect-no-changes",
      );
      assert.match(unchanged, /unchanged/);

      program(`{ ${commands}, environment: { WHAT: "two" }, triggers: [1] }`);
      await project.succeed("up", "--yes", "--skip-preview");
      assert.deepEqual(await project.outputs(), { stdout: "changed two", stderr: "" });

      program(`{ ${commands}, environment: { WHAT: "two" }, triggers: [2] }`);
      assert.match(await project.succeed("up", "--yes", "--skip-preview"), /replaced/);

      await project.succeed("destroy", "--yes");
      assert.deepEqual(journal(), [
        "create",
        "update after made one",
        "create",
        "delete after changed two",
        "delete after made two",
      ]);
    });

    it("shows what a failing command wrote, but no secret of its inputs", async () => {
      program(`{ create: pulumi.secret("echo pa55word >&2; echo the roof is missing >&2; exit 7") ,
        environment: { TOKEN: pulumi.secret("pa55word") } }`);
      const { exitCode, output } = await project.run("up", "--yes", "--skip-preview");
      assert.notEqual(exitCode, 0);
      assert.match(output, /exit status 7/);
      assert.match(output, /the roof is missing/);
      const diagnostics = output.slice(output.indexOf("Diagnostics:"));
      assert.ok(!diagnostics.includes("pa55word"), diagnostics);
    });

    it("keeps a secret input secret in the state", async () => {
      program('{ create: "echo done", stdin: pulumi.secret("cellar key") }');
      await project.succeed("up", "--yes", "--skip-preview");
      const state = await project.succeed("stack", "export");
      assert.ok(!state.includes("cellar key"));
      await project.succeed("destroy", "--yes");
    });
  });

  describe("local.Command", () => {
    let scratch: Scratch;
    before(() => {
      scratch = makeScratch("command-local");
    });
    after(() => {
      scratch.remove();
    });

    it("gives stdin, interpreter and dir to the command, and shows its lines as logging says", async () => {
      logged.length = 0;
      const { outs } = await create("local:Command", {
        create:
          "import os, sys; print(os.getcwd(), sys.stdin.read()); print('shown', file=sys.stderr)",
        interpreter: ["python3", "-c"],
        dir: scratch.folder,
        stdin: "words in",
        logging: "stderr",
      });
      assert.equal(outs["stdout"], `${scratch.folder} words in`);
      assert.equal(outs["stderr"], "shown");
      assert.deepEqual(logged, ["shown"]);
    });

    it("collects files by globs, those taken away left out", async () => {
      const { outs } = await create("local:Command", {
        create: "mkdir -p src/deep; touch src/a.js src/deep/b.js src/secret.js notes",
        dir: scratch.folder,
        assetPaths: ["src/**.js", "!**secret.*"],
        archivePaths: ["n?tes"],
      });
      assert.deepEqual(Object.keys(outs["assets"] as Values), ["src/a.js", "src/deep/b.js"]);
      const archive = outs["archive"] as Values;
      assert.deepEqual(Object.keys(archive["assets"] as Values), ["notes"]);
    });

    it("does not hand on the previous output when told not to", async () => {
      const olds = { stdout: "earlier", stderr: "" };
      const inputs = { create: "echo [$PULUMI_COMMAND_STDOUT]", addPreviousOutputInEnv: false };
      assert.equal((await update("local:Command", olds, inputs))["stdout"], "[]");
    });

    it("names every input that does not fit", async () => {
      const { failures } = (await provider.check?.(
        urnOf("remote:Command"),
        {},
        { create: 5, logging: "loud", walls: 4 },
      )) as { failures: { property: string }[] };
      assert.deepEqual(failures.map(({ property }) => property).sort(), [
        "connection",
        "create",
        "logging",
        "walls",
      ]);
    });
  });
});

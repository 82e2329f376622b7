import assert from "node:assert/strict";
import fc from "fast-check";
import {
  buildProgramCommand,
  interpretExit,
  type ProgramRun,
  splitArguments,
} from "../../../../tools/language-host/program.ts";

const run: ProgramRun = {
  engineAddress: "127.0.0.1:1",
  monitorAddress: "127.0.0.1:2",
  organization: "organization",
  project: "groundwork",
  stack: "local",
  programDirectory: "/lab",
  workingDirectory: "/lab",
  rootDirectory: "/lab",
  entryPoint: "",
  arguments: [],
  dryRun: false,
  parallel: 0,
  config: { "groundwork:ssh": "{}" },
  secretKeys: ["groundwork:token"],
  options: {},
};

describe("buildProgramCommand", () => {
  it("puts nodeargs before the runner, and the package's own entry point last", () => {
    const options = { typescript: false, nodeargs: "--import=tsx --title='my lab'" };
    const command = buildProgramCommand({ ...run, options }, "/sdk/run.js");
    assert.deepEqual(command.arguments.slice(0, 3), [
      "--import=tsx",
      "--title=my lab",
      "/sdk/run.js",
    ]);
    assert.equal(command.arguments.at(-1), ".");
    assert.equal(command.environment["PULUMI_NODEJS_TYPESCRIPT"], "false");
  });

  it("leaves out what is not set, and marks a preview", () => {
    const preview = buildProgramCommand({ ...run, dryRun: true, parallel: 4 }, "/sdk/run.js");
    assert.ok(preview.arguments.includes("--dry-run"));
    assert.ok(preview.arguments.includes("--parallel=4"));
    const update = buildProgramCommand(run, "/sdk/run.js");
    assert.ok(!update.arguments.some((word) => /^--(?:dry-run|parallel)/.test(word)));
  });

  it("hands the configuration over in the environment, never in arguments", () => {
    const { arguments: words, environment } = buildProgramCommand(run, "/sdk/run.js");
    assert.equal(environment["PULUMI_CONFIG"], '{"groundwork:ssh":"{}"}');
    assert.equal(environment["PULUMI_CONFIG_SECRET_KEYS"], '["groundwork:token"]');
    assert.ok(!words.join(" ").includes("groundwork:ssh"));
  });

  it("has the SDK compile TypeScript unless the option says no", () => {
    const typescript = (options: ProgramRun["options"]): string | undefined =>
      buildProgramCommand({ ...run, options }, "x").environment["PULUMI_NODEJS_TYPESCRIPT"];
    assert.equal(typescript({}), "true");
    assert.equal(typescript({ typescript: "true" }), "true");
    assert.equal(typescript({ typescript: "false" }), "false");
  });
});

describe("interpretExit", () => {
  it("tells success, an error the user has seen, and an error to report apart", () => {
    assert.deepEqual(interpretExit(0, null), {});
    assert.deepEqual(interpretExit(32, null), { bail: true });
    assert.match(interpretExit(3, null).error ?? "", /code: 3/);
    assert.match(interpretExit(null, "SIGKILL").error ?? "", /SIGKILL/);
  });
});

describe("splitArguments", () => {
  it("reads quotes and backslashes as a shell does", () => {
    assert.deepEqual(splitArguments(`  a "b c"  'd "e"' f\\ g h"i j"k `), [
      "a",
      "b c",
      'd "e"',
      "f g",
      "hi jk",
    ]);
    assert.deepEqual(splitArguments(""), []);
  });

  it("gives back every list of words that was quoted", () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (words) => {
        const quoted = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
        assert.deepEqual(splitArguments(quoted), words);
      }),
    );
  });
});

import assert from "node:assert/strict";
import {
  describeFailure,
  isLogged,
  previousOutput,
} from "../../../../tools/command-plugin/run-context.ts";
import { makeSecret } from "../../../../tools/command-plugin/values.ts";

describe("describeFailure", () => {
  const failed = { code: 7, endedBy: null };

  it("shows status, command and everything the command wrote", () => {
    const { message } = describeFailure({ ...failed, output: "no roof\n" }, "build", {});
    assert.equal(message, 'exit status 7: running "build":\nno roof\n');
  });

  it("hides the secrets among the inputs, as they are and as quoted", () => {
    const secret = 'pass"word';
    const { message } = describeFailure({ ...failed, output: `got ${secret}` }, `echo ${secret}`, {
      stdin: makeSecret(secret),
    });
    assert.equal(message, 'exit status 7: running "echo [secret]":\ngot [secret]');
  });

  it("names the signal that ended a command", () => {
    const ended = { code: null, endedBy: "SIGKILL", output: "" };
    assert.match(describeFailure(ended, "x", {}).message, /^signal: SIGKILL/);
  });
});

describe("previousOutput", () => {
  it("offers what there is, unless the inputs say no", () => {
    const previous = { stdout: "made", stderr: "" };
    assert.deepEqual(previousOutput({}, previous), { PULUMI_COMMAND_STDOUT: "made" });
    assert.deepEqual(previousOutput({ addPreviousOutputInEnv: false }, previous), {});
  });
});

describe("isLogged", () => {
  it("shows both streams unless told otherwise", () => {
    assert.ok(isLogged({}, "stdout") && isLogged({}, "stderr"));
    assert.ok(
      isLogged({ logging: "stderr" }, "stderr") && !isLogged({ logging: "stderr" }, "stdout"),
    );
    assert.ok(!isLogged({ logging: "none" }, "stderr"));
  });
});

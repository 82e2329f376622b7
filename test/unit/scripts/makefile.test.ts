import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const checkout = path.resolve(import.meta.dirname, "../../..");

function make(args: readonly string[], env: Record<string, string> = {}) {
  return spawnSync("make", args, {
    cwd: checkout,
    encoding: "utf8",
    env: { PATH: process.env["PATH"] ?? "", HOME: os.homedir(), ...env },
  });
}

describe("make", () => {
  it("lists the targets when it is given none", () => {
    const { stdout, status } = make([]);
    assert.equal(status, 0);
    for (const target of [
      "up",
      "preview",
      "status",
      "ssh",
      "down",
      "setup",
      "env",
      "test",
      "check",
    ])
      assert.match(stdout, new RegExp(`^  ${target} +\\S`, "m"));
    assert.match(stdout, /eval "\$\(make -s env\)"/);
    assert.match(stdout, /STACK=local, out of: .*\blocal\b/);
  });

  it("enters no machine before there is one, nor without an environment", () => {
    const home = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-make-"));
    try {
      const env = { GROUNDWORK_HOME: home };
      const none = make(["-s", "ssh"], env);
      assert.notEqual(none.status, 0);
      assert.match(none.stderr, /^Stack local has no machines yet: make up STACK=local\n/);
      const refused = make(["-s", "ssh", "STACK=a b"], env);
      assert.notEqual(refused.status, 0);
      assert.match(refused.stderr, /^Cannot use "a b" as a stack.*\nmake: \*\*\* .*\n$/);
    } finally {
      fs.rmSync(home, { recursive: true });
    }
  });

  it("sets up before it runs what needs the npm packages", () => {
    for (const target of ["check", "fuzz", "bench", "test", "image-pins", "format"])
      assert.match(make(["-n", target]).stdout, /^scripts\/(setup|run)\b/, target);
  });

  it("prints nothing but exports for the stack that STACK selects", () => {
    const home = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-make-"));
    try {
      const { stdout, stderr, status } = make(["-s", "env", "STACK=local"], {
        GROUNDWORK_HOME: home,
      });
      assert.deepEqual([status, stderr], [0, ""]);
      for (const line of stdout.trimEnd().split("\n"))
        assert.match(line, /^export [A-Z_]+=\S|^unset [A-Z_]+$/);
      const { stderr: refusal } = make(["-s", "env", "STACK=a b"], { GROUNDWORK_HOME: home });
      assert.match(refusal, /Cannot use "a b" as a stack/);
    } finally {
      fs.rmSync(home, { recursive: true });
    }
  });
});

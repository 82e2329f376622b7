import assert from "node:assert/strict";
import * as path from "node:path";
import { execa } from "execa";

const checkout = path.resolve(import.meta.dirname, "../..");

describe("the command that runs the tests", function () {
  this.timeout(120_000);

  const run = (environment: Record<string, string> = {}) =>
    execa("scripts/run", ["test", "integration", "--grep", "no test is called like this: *"], {
      ...{ cwd: checkout, reject: false, stdin: "ignore", env: environment },
    });

  it("adds up the lanes that ran side by side", async () => {
    const { stdout, exitCode } = await run();
    assert.match(stdout, /\n0 passed, 0 failed, 0 skipped$/);
    assert.match(stdout, /with guests, clusters and projects, which ran meanwhile/);
    assert.equal(exitCode, 0, stdout);
  });

  it("fails, and says why, for lanes that did not come to their end", async () => {
    const { stdout, exitCode } = await run({ MOCHA_OPTIONS: "--require /is-not-there" });
    assert.match(stdout, /\nFailed:\n- integration tests\n {4}The integration tests did not come/);
    assert.match(stdout, /their end\. Command failed with exit code 1/);
    assert.match(stdout, /\n0 passed, 2 failed, 0 skipped$/);
    assert.equal(exitCode, 1, stdout);
  });
});

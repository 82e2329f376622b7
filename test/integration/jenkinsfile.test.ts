import { execa } from "execa";
import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { ensureJenkinsLinter } from "../support/jenkins-linter.ts";
import { requireNeeds } from "../support/needs.ts";
import { makeScratch, type Scratch } from "../support/scratch.ts";

const jenkinsfile = path.resolve(import.meta.dirname, "../../Jenkinsfile");

describe("Jenkinsfile", function () {
  this.timeout(600_000);
  let linter: string;
  let scratch: Scratch | undefined;

  before(async function () {
    requireNeeds(this, ["cargo"]);
    scratch = makeScratch("jenkinsfile");
    linter = await ensureJenkinsLinter();
  });
  after(() => scratch?.remove());

  const lint = async (text: string) => {
    const file = path.join(scratch?.folder ?? "", "Jenkinsfile");
    fs.writeFileSync(file, text);
    const { exitCode, all } = await execa(linter, ["check", file], { all: true, reject: false });
    return { exitCode, all };
  };
  const text = fs.readFileSync(jenkinsfile, "utf8");

  it("is a declarative pipeline, as a parser of that syntax has it", async () => {
    const { exitCode, all } = await lint(text);
    assert.equal(exitCode, 0, all);
  });

  for (const [what, from, to] of [
    ["has no agent", "agent any", ""],
    ["has a stage without steps", "steps {", "step {"],
    ["has its stages in a section that there is not", "stages {", "phases {"],
    ["has a stage without a name", "stage('Plan')", "stage()"],
    ["leaves a text open", "'Plan'", "'Plan"],
  ] as const)
    it(`would be refused if it were one that ${what}`, async () => {
      assert.ok(text.includes(from));
      assert.notEqual((await lint(text.replace(from, to))).exitCode, 0);
    });
});

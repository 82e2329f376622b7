import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { createDeployCommand } from "../../../scripts/deploy.ts";

const checkout = path.resolve(import.meta.dirname, "../../..");
const read = (name: string): string => fs.readFileSync(path.join(checkout, name), "utf8");

const workflow = z
  .object({
    on: z.object({ workflow_dispatch: z.object({ inputs: z.record(z.string(), z.unknown()) }) }),
    jobs: z.object({
      deploy: z.object({
        steps: z.array(z.object({ name: z.string().optional(), run: z.string().optional() })),
      }),
    }),
  })
  .parse(parse(read(".github/workflows/deploy.yml")));
const jenkinsfile = read("Jenkinsfile");
const fromJenkins = [...jenkinsfile.matchAll(/^\s*sh '([^']+)'$/gm)].map(([, line = ""]) => line);
const fromGitHub = workflow.jobs.deploy.steps.flatMap(({ run = "" }) =>
  run.startsWith("scripts/deploy") ? [run.trim()] : [],
);
/** Without what each keeps its key in. */
const shape = (line: string): string =>
  line
    .replaceAll(/"\$(DEPLOY_KEY|RUNNER_TEMP\/deploy-key)"/g, "KEY")
    .replaceAll(/"\$(DEPLOY_KNOWN_HOSTS|RUNNER_TEMP\/known-hosts)"/g, "KNOWN_HOSTS");

describe("the pipelines", () => {
  it("do all their work with scripts/deploy, in the same steps", () => {
    assert.equal(fromJenkins.length, 3);
    assert.equal((jenkinsfile.match(/\bsh\b/g) ?? []).length, 3, "no other shell step");
    for (const line of fromJenkins) assert.match(line, /^scripts\/deploy /);
    assert.deepEqual(fromGitHub.map(shape), fromJenkins.map(shape));
    assert.ok((fs.statSync(path.join(checkout, "scripts/deploy")).mode & 0o111) !== 0);
  });

  it("pass only options that scripts/deploy has", () => {
    const known = new Set(createDeployCommand().options.map(({ long }) => long));
    for (const line of [...fromJenkins, ...fromGitHub])
      for (const [option] of line.matchAll(/--[a-z-]+/g)) assert.ok(known.has(option), option);
  });

  it("plan before they deploy, and ask from outside at the end", () => {
    const [plan, deploy, smoke] = fromJenkins;
    assert.match(plan ?? "", / --plan$/);
    assert.doesNotMatch(deploy ?? "", /--plan|--smoke/);
    assert.match(smoke ?? "", /--smoke --url "\$SMOKE_URL"/);
  });

  it("never turn off the check of the host key, and take keys out of credentials only", () => {
    for (const text of [jenkinsfile, read(".github/workflows/deploy.yml"), read("scripts/deploy")])
      assert.doesNotMatch(text, /StrictHostKeyChecking|PRIVATE KEY/);
  });
});

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
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

  it("may name files from where they are", () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-deploy-"));
    try {
      fs.mkdirSync(path.join(folder, "node_modules/tsx"), { recursive: true });
      fs.mkdirSync(path.join(folder, "scripts"));
      fs.copyFileSync(path.join(checkout, "scripts/deploy"), path.join(folder, "scripts/deploy"));
      fs.writeFileSync(path.join(folder, "node"), '#!/bin/sh\necho "$INIT_CWD"\n', { mode: 0o755 });
      const caller = fs.mkdtempSync(path.join(folder, "caller-"));
      const { stdout } = spawnSync(path.join(folder, "scripts/deploy"), {
        ...{ cwd: caller, encoding: "utf8" },
        env: { PATH: `${folder}:${process.env["PATH"] ?? ""}` },
      });
      assert.equal(stdout.trim(), caller);
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
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

describe("createDeployCommand", () => {
  const given = process.env["INIT_CWD"];
  afterEach(() => {
    if (given === undefined) delete process.env["INIT_CWD"];
    else process.env["INIT_CWD"] = given;
  });

  it("explains itself with examples, as image-pins does", () => {
    for (const program of ["scripts/deploy.ts", "scripts/image-pins.ts"]) {
      const args = ["--import=tsx/esm", path.join(checkout, program), "--help"];
      const { stdout } = spawnSync(process.execPath, args, { cwd: checkout, encoding: "utf8" });
      assert.match(stdout, /^Examples:\n( {2}(scripts\/deploy|make image-pins) .*\n)+/m);
    }
  }).timeout(30_000);

  it("refuses --json where it prints none", async () => {
    await assert.rejects(
      createDeployCommand().parseAsync(["--json", "--smoke"], { from: "user" }),
      {
        code: "bad-option",
      },
    );
  });

  it("takes paths as the user means them", () => {
    process.env["INIT_CWD"] = "/home/me";
    const command = createDeployCommand();
    command.parseOptions(["--key", "key", "--known-hosts", "../hosts", "--ssh-config", "/etc/c"]);
    const { key, knownHosts, sshConfig, folder } = command.opts<Record<string, string>>();
    assert.deepEqual([key, knownHosts, sshConfig], ["/home/me/key", "/home/hosts", "/etc/c"]);
    assert.equal(folder, path.join(checkout, "stacks/observability"));
    command.parseOptions(["--folder", "project"]);
    assert.equal(command.opts<Record<string, string>>()["folder"], "/home/me/project");
  });
});

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { requireNeeds } from "../support/needs.ts";
import { makeToolProject, type ToolProject } from "../support/tool-project.ts";

describe("language host", function () {
  this.timeout(240_000);
  let project: ToolProject;
  const cleanUps: (() => void)[] = [];

  before(async function () {
    requireNeeds(this, ["pulumi"]);
    project = await makeToolProject("language-host");
    cleanUps.push(() => {
      project.remove();
    });
  });
  after(() => {
    for (const cleanUp of cleanUps) cleanUp();
  });

  it("runs a TypeScript program with its configuration, in preview and in update", async () => {
    project.program(`
      import * as pulumi from "@pulumi/pulumi";
      const config = new pulumi.Config();
      export const name: string = config.require("name");
      export const token = config.requireSecret("token");
      export const dryRun = pulumi.runtime.isDryRun();
      export const where = [pulumi.getProject(), pulumi.getStack(), process.cwd()];
    `);
    await project.succeed("config", "set", "name", "vm 1");
    await project.succeed("config", "set", "--secret", "token", "hush");
    const preview = await project.succeed("preview", "--diff");
    assert.match(preview, /dryRun\s*: true/);
    await project.succeed("up", "--yes", "--skip-preview");
    assert.deepEqual(await project.outputs(), {
      name: "vm 1",
      token: "hush",
      dryRun: false,
      where: ["tooltest", "test", fs.realpathSync(project.folder)],
    });
    const shown = await project.succeed("stack", "output", "--json");
    assert.ok(!shown.includes("hush"), shown);
  });

  it("leaves the telling to a program that failed with an error", async () => {
    project.program('throw new Error("the lab has no roof");');
    const { exitCode, output } = await project.run("up", "--yes", "--skip-preview");
    assert.notEqual(exitCode, 0);
    assert.match(output, /the lab has no roof/);
    assert.doesNotMatch(output, /non-zero exit code/);
  });

  it("reports the exit code of a program that ended without a word", async () => {
    project.program("process.exit(3);");
    const { exitCode, output } = await project.run("up", "--yes", "--skip-preview");
    assert.notEqual(exitCode, 0);
    assert.match(output, /Program exited with non-zero exit code: 3/);
  });

  it("passes on what the program prints", async () => {
    project.program('console.log("seven beams"); console.error("and a nail");');
    const output = await project.succeed("up", "--yes", "--skip-preview");
    assert.match(output, /seven beams/);
    assert.match(output, /and a nail/);
  });

  it("tells `pulumi about` the runtime and the program's dependencies", async () => {
    project.program("export const nothing = 0;");
    const about = JSON.parse(await project.succeed("about", "--json")) as {
      runtime: { version: string };
      dependencies: { name: string; version: string }[];
    };
    assert.equal(about.runtime.version, process.version);
    assert.deepEqual(
      about.dependencies.map(({ name }) => name),
      ["@pulumi/pulumi"],
    );
    assert.match(about.dependencies[0]?.version ?? "", /^\d+\.\d+\.\d+$/);
  });

  it("says what to do when the program has no @pulumi/pulumi", async () => {
    const modules = path.join(project.folder, "node_modules");
    const target = fs.readlinkSync(modules);
    fs.rmSync(modules);
    try {
      const { exitCode, output } = await project.run("preview");
      assert.notEqual(exitCode, 0);
      assert.match(output, /has no @pulumi\/pulumi.*Run `npm ci`/s);
    } finally {
      fs.symlinkSync(target, modules);
    }
  });

  it("ends itself and the program when the engine is killed", async () => {
    const pidFile = path.join(project.folder, "pid");
    project.program(`
      import * as fs from "node:fs";
      fs.writeFileSync(${JSON.stringify(pidFile)}, process.pid + " " + process.ppid);
      await new Promise((resolve) => { setTimeout(resolve, 60_000); });
    `);
    const engine = spawn(project.cli, ["preview", "--non-interactive"], {
      cwd: project.folder,
      env: { ...process.env, ...project.environment },
      stdio: "ignore",
    });
    const pids = await until(() => fs.existsSync(pidFile) && fs.readFileSync(pidFile, "utf8"));
    engine.kill("SIGKILL");
    for (const pid of pids.split(" "))
      await until(() => (isAlive(Number(pid)) ? undefined : "gone"), `process ${pid} to end`);
  });
});

async function until(
  look: () => string | false | undefined,
  what = "the program to start",
): Promise<string> {
  const end = Date.now() + 20_000;
  while (Date.now() < end) {
    const seen = look();
    if (typeof seen === "string" && seen !== "") return seen;
    await sleep(50);
  }
  throw new Error(`waited 20 s for ${what}`);
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${String(pid)}/status`, "utf8"));
  } catch {
    return false;
  }
}

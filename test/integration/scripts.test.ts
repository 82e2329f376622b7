import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseConfig } from "../../config.ts";
import { type Context, parseStackFile } from "../../scripts/lib/context.ts";
import { clearRemains, settlePending } from "../../scripts/lib/recover.ts";
import { forgetStack, openStack, readStacks, runPulumi } from "../../scripts/lib/stack.ts";
import { pulumiHome, pulumiRoot } from "../../scripts/lib/tools-paths.ts";
import { requireNeeds } from "../support/needs.ts";
import { makeScratch, type Scratch, waitUntilReady } from "../support/scratch.ts";

const checkout = path.resolve(import.meta.dirname, "../..");
const stackFile = "# The lab\nconfig:\n  groundwork:ssh: { user: deploy }\n\n  # nothing else\n";

/** A resource whose create takes as long as the file `slow` is there, and says so in `log`. */
const program = (folder: string): string => `
import * as pulumi from "@pulumi/pulumi";
class Slow extends pulumi.dynamic.Resource {
  constructor(name) {
    super({ async create() {
      const fs = require("fs");
      do {
        fs.appendFileSync(${JSON.stringify(`${folder}/log`)}, "at work\\n");
        await new Promise((resolve) => setTimeout(resolve, 100));
      } while (fs.existsSync(${JSON.stringify(`${folder}/slow`)}));
      return { id: "slow", outs: {} };
    } }, name, {});
  }
}
new Slow("slow");
`;

function makeContext(folder: string): Context {
  const write = (name: string, text: string): void => {
    fs.writeFileSync(path.join(folder, name), text);
  };
  fs.mkdirSync(path.join(folder, "home/state"), { recursive: true });
  fs.symlinkSync(path.join(checkout, "node_modules"), path.join(folder, "node_modules"));
  write("Pulumi.yaml", "name: groundwork\nruntime: nodejs\n");
  write("package.json", JSON.stringify({ type: "module", main: "index.js" }));
  write("index.js", program(folder));
  write("Pulumi.local.yaml", stackFile);
  return {
    stack: "local",
    checkout: folder,
    stackFile: path.join(folder, "Pulumi.local.yaml"),
    home: path.join(folder, "home"),
    cache: path.join(folder, "cache"),
    config: parseConfig({}),
    environment: {
      GROUNDWORK_HOME: path.join(folder, "home"),
      PATH: process.env["PATH"] ?? "",
      PULUMI_HOME: pulumiHome(process.env),
      PULUMI_BACKEND_URL: `file://${folder}/home/state`,
      PULUMI_CONFIG_PASSPHRASE: "test",
      PULUMI_SKIP_UPDATE_CHECK: "true",
    },
  };
}

describe("the stack behind the scripts", function () {
  this.timeout(120_000);
  let scratch: Scratch;
  let context: Context;
  const lines: string[] = [];
  const report = (line: string): void => void lines.push(line);
  const inFolder = (name: string): string => path.join(scratch.folder, name);
  const logSize = (): number =>
    fs.existsSync(inFolder("log")) ? fs.statSync(inFolder("log")).size : 0;

  before(function () {
    requireNeeds(this, ["pulumi"]);
  });
  beforeEach(() => {
    scratch = makeScratch("scripts");
    context = makeContext(scratch.folder);
    lines.length = 0;
  });
  afterEach(async () => {
    fs.rmSync(inFolder("slow"), { force: true });
    await clearRemains(context, report);
    scratch.remove();
  });

  /** Starts `pulumi up` as a user would, and waits until its create is at work. */
  async function startSlowUp(): Promise<ChildProcess> {
    fs.writeFileSync(inFolder("slow"), "");
    const pulumi = spawn(
      path.join(pulumiRoot(context.environment), "bin/pulumi"),
      ["up", "--yes", "--skip-preview", "--non-interactive", "--stack", "local"],
      { cwd: context.checkout, env: context.environment, stdio: "ignore", detached: true },
    );
    await waitUntilReady(
      "create",
      () => Promise.resolve(logSize() > 0),
      () => "no create",
      60,
    );
    return pulumi;
  }

  it("keeps what opens encrypted values of the stack file, for the next stack of that name", async () => {
    const place = "groundwork:clusters[0].snapshots.store.secretKey";
    const config = (...words: string[]): Promise<string> =>
      runPulumi(context, ["config", ...words, "--stack", "local"]);
    await openStack(context, report);
    await config("set", "--secret", "--path", place, "hush");
    const text = fs.readFileSync(context.stackFile, "utf8");
    assert.doesNotMatch(text, /hush/);
    assert.deepEqual(parseStackFile(text, "file")["groundwork:clusters"], [
      { snapshots: { store: { secretKey: "encrypted-value-in-the-stack-file" } } },
    ]);
    await forgetStack(context, false);
    assert.equal(fs.readFileSync(context.stackFile, "utf8"), text);
    await openStack(context, report);
    assert.equal((await config("get", "--path", place)).trim(), "hush");
  });

  it("keeps the layout of the stack file, and leaves no trace in it at the end", async () => {
    await openStack(context, report);
    const salted = fs.readFileSync(context.stackFile, "utf8");
    assert.ok(salted.startsWith(stackFile));
    assert.match(salted.slice(stackFile.length), /^encryptionsalt: \S+\n$/);
    assert.deepEqual(await readStacks(context), ["local"]);
    await forgetStack(context, false);
    assert.equal(fs.readFileSync(context.stackFile, "utf8"), stackFile);
    assert.deepEqual(await readStacks(context), []);
    await forgetStack(context, false); // twice is fine
  });

  it("goes on after pulumi was killed, and never beside one that runs", async () => {
    await openStack(context, report);
    const pulumi = await startSlowUp();
    await assert.rejects(clearRemains(context, report), { code: "stack-is-busy" });
    const ended = once(pulumi, "exit");
    pulumi.kill("SIGKILL");
    await ended;

    await clearRemains(context, report);
    const size = logSize();
    await sleep(1000);
    assert.equal(logSize(), size, "the killed run still works");
    assert.match(lines.join("\n"), /removing the lock/);

    fs.rmSync(inFolder("slow"));
    const stack = await openStack(context, report);
    await settlePending(context, stack, report);
    assert.match(lines.join("\n"), /was interrupted: creating .*slow/);
    const { stdout } = await stack.up({ suppressProgress: true });
    assert.match(stdout, /2 created|1 created/);
    assert.doesNotMatch(stdout, /pending operations/);
    const exported = await runPulumi(context, ["stack", "export", "--stack", "local"]);
    assert.doesNotMatch(exported, /"type": "creating"/);
    await stack.destroy({ suppressProgress: true });
  });

  it("stops gently at the first interrupt and at once at the second", async () => {
    await openStack(context, report);
    fs.writeFileSync(inFolder("slow"), "");
    const lib = path.join(checkout, "scripts/lib");
    fs.writeFileSync(
      inFolder("up.ts"),
      `import { openStack } from ${JSON.stringify(path.join(lib, "stack.ts"))};
const context = JSON.parse(process.argv[2]!);
const stack = await openStack(context, (line) => console.log(line));
await stack.up().catch((error) => { console.log("code", error.code); process.exitCode = 130; });
`,
    );
    const child = spawn(
      process.execPath,
      ["--import=tsx", inFolder("up.ts"), JSON.stringify(context)],
      { cwd: scratch.folder, stdio: ["ignore", "pipe", "inherit"] },
    );
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    const ended = once(child, "exit");
    await waitUntilReady(
      "create",
      () => Promise.resolve(logSize() > 0),
      () => output,
      60,
    );
    child.kill("SIGINT");
    await waitUntilReady(
      "advice",
      () => Promise.resolve(output.includes("again to stop")),
      () => output,
      10,
    );
    await sleep(1000);
    assert.equal(child.exitCode, null, "a step that runs is waited for");
    child.kill("SIGINT");
    assert.deepEqual(await ended, [130, null], output);
    assert.match(output, /code interrupted/);

    await clearRemains(context, report);
    fs.rmSync(inFolder("slow"));
    const stack = await openStack(context, report);
    await settlePending(context, stack, report);
    await stack.up({ suppressProgress: true });
    await stack.destroy({ suppressProgress: true });
  });
});

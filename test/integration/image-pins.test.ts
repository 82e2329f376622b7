import { execa } from "execa";
import * as assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { requireNeeds } from "../support/needs.ts";
import { endTree, freePort, makeScratch, undoAtExit, waitUntilReady } from "../support/scratch.ts";

const checkout = path.resolve(import.meta.dirname, "../..");
const crane = ["-C", path.join(checkout, "tools/crane"), "tool", "crane"];

/** `make image-pins` against a registry of the test's own. */
describe("image-pins", function () {
  this.timeout(180_000);
  let registry: string;
  let folder: string;
  let pins: string;
  const undo: (() => void)[] = [];

  /** Puts another image under a tag, and gives its digest. */
  const push = async (name: string, content: string): Promise<string> => {
    fs.writeFileSync(path.join(folder, "content"), content);
    const layer = path.join(folder, "layer.tar");
    await execa("tar", ["--create", "--file", layer, "--directory", folder, "content"]);
    const tag = `${registry}/lab/${name}`;
    await execa("go", [...crane, "append", "--new_layer", layer, "--new_tag", tag]);
    return (await execa("go", [...crane, "digest", tag])).stdout;
  };
  const run = async (...args: string[]): Promise<{ exitCode: number; output: string }> => {
    const program = ["--import=tsx/esm", "scripts/image-pins.ts", "--file", pins, ...args];
    const result = await execa(process.execPath, program, {
      cwd: checkout,
      all: true,
      reject: false,
    });
    return { exitCode: result.exitCode ?? -1, output: result.all };
  };

  before(async function () {
    requireNeeds(this, ["go"]);
    const scratch = makeScratch("pins");
    undo.push(() => scratch.remove());
    folder = scratch.folder;
    pins = path.join(folder, "compose.pull.yaml");
    registry = `127.0.0.1:${String(await freePort())}`;
    const log = path.join(folder, "log");
    const output = fs.openSync(log, "w");
    const server = spawn("go", [...crane, "registry", "serve", "--address", registry], {
      stdio: ["ignore", output, output],
    });
    fs.closeSync(output);
    undo.push(undoAtExit(() => endTree(server.pid)));
    await waitUntilReady(
      "the registry",
      async () => (await fetch(`http://${registry}/v2/`)).ok,
      () => fs.readFileSync(log, "utf8"),
      120,
    );
  });
  after(() => {
    for (const each of undo.reverse()) each();
  });

  it("finds nothing to do while tags have the digests that are pinned", async () => {
    const text = `image: ${registry}/lab/one:1@${await push("one:1", "first")}\n`;
    fs.writeFileSync(pins, text);
    assert.deepEqual(await run("--check"), {
      exitCode: 0,
      output: `${registry}/lab/one:1: unchanged`,
    });
    assert.equal((await run()).exitCode, 0);
    assert.equal(fs.readFileSync(pins, "utf8"), text);
  });

  it("tells of a tag that was pushed anew, and writes its digest down only when it may", async () => {
    const [before, other] = [await push("two:2", "first"), await push("three:3", "third")];
    const text = `a: ${registry}/lab/two:2@${before} # why\nb: ${registry}/lab/three:3@${other}\n`;
    fs.writeFileSync(pins, text);
    const now = await push("two:2", "second");
    assert.notEqual(now, before);
    const checked = await run("--check");
    assert.equal(checked.exitCode, 1, checked.output);
    assert.ok(checked.output.includes(`two:2: ${before} -> ${now}`), checked.output);
    assert.equal(fs.readFileSync(pins, "utf8"), text);
    assert.equal((await run()).exitCode, 0);
    assert.equal(fs.readFileSync(pins, "utf8"), text.replace(before, now));
  });

  it("changes nothing when one of the tags is gone", async () => {
    const text = `a: ${registry}/lab/one:1@sha256:${"0".repeat(64)}\nb: ${registry}/lab/gone:1@sha256:${"0".repeat(64)}\n`;
    fs.writeFileSync(pins, text);
    const { exitCode, output } = await run();
    assert.equal(exitCode, 1);
    assert.match(output, /Cannot read which digest \S+\/lab\/gone:1 has: .*nothing was changed/s);
    assert.equal(fs.readFileSync(pins, "utf8"), text);
  });
});

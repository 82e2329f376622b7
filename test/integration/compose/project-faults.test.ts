import * as assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { busybox, failureOf, useComposeLab } from "../../support/compose-lab.ts";
import { until } from "../../support/until.ts";

describe("a deployment of a Compose project that goes wrong", function () {
  this.timeout(300_000);
  const lab = useComposeLab();

  beforeEach(() => lab().reset());

  const breakWeb = (): void => {
    lab().edit(
      "compose.yaml",
      'command: [httpd, -f, -p, "8080", -h, /www]',
      'command: [sh, -c, "echo password $$PASSWORD; echo no such page >&2; exit 3"]',
    );
  };

  it("goes back to the previous project, and says which service failed and what it logged", async () => {
    await lab().deploy();
    const before = lab().containers();
    const release = fs.readlinkSync(lab().path);
    breakWeb();
    const error = await failureOf(lab().deploy());
    assert.equal(error.code, "deployment-failed");
    assert.match(error.message, /Service "web" is exited \(exit code 3\)/);
    assert.match(error.message, /no such page/);
    assert.match(error.message, /The previous project runs again/);
    assert.doesNotMatch(error.message, /Service "worker"|s3cret/);
    assert.equal(lab().page(), "first page");
    assert.equal(lab().containers()["worker"], before["worker"]);
    assert.equal(fs.readlinkSync(lab().path), release);
    assert.equal(fs.readdirSync(path.join(lab().store, "releases")).length, 1);
    assert.deepEqual((await lab().plan()).recreate, ["web"], "the wish is still there");
  });

  it("goes back when a service is up and not healthy", async () => {
    await lab().deploy();
    lab().edit("compose.yaml", "127.0.0.1:8080/index.html]", "127.0.0.1:8080/absent]");
    const error = await failureOf(lab().deploy());
    assert.match(error.message, /Service "web" is unhealthy/);
    assert.equal(lab().page(), "first page");
  });

  it("goes back when the smoke test fails", async () => {
    await lab().deploy();
    lab().write("www/index.html", "another text\n");
    const smokeChecks = [
      { url: "http://127.0.0.1:8080/index.html", contains: "page", timeoutSeconds: 2 },
    ];
    const error = await failureOf(lab().deploy({ smokeChecks }));
    assert.equal(error.code, "smoke-test-failed");
    assert.match(error.message, /answers without the text page/);
    assert.equal(lab().page(), "first page");
  });

  it("goes back when the project's own smoke test fails, and says what that printed", async () => {
    await lab().deploy();
    lab().write("smoke", "#!/bin/sh\necho task 7 is lost\nexit 1\n", 0o755);
    const error = await failureOf(lab().deploy({ smokeScript: "smoke" }));
    assert.match(error.message, /task 7 is lost/);
    assert.equal(fs.existsSync(path.join(lab().path, "smoke")), false);
  });

  it("goes back to the images that ran, though their names mean others by now", async () => {
    const build = (text: string): void => {
      lab().write("worker/Dockerfile", "FROM groundwork-test/busybox:1\nCOPY built /built\n");
      lab().write("worker/built", text);
    };
    build("one\n");
    lab().edit(
      "compose.yaml",
      "worker:\n    image: groundwork-test/busybox:1",
      "worker:\n    build: ./worker",
    );
    await lab().deploy({ images: "build" });
    build("two\n");
    breakWeb();
    await failureOf(lab().deploy({ images: "build" }));
    assert.equal(lab().exec("worker", "cat", "/built"), "one");
    assert.equal(lab().engine.docker("run", "--rm", "tiny-worker", "cat", "/built"), "one");
  });

  it("leaves nothing of a first deployment that fails", async () => {
    breakWeb();
    const error = await failureOf(lab().deploy());
    assert.match(error.message, /There was no previous project/);
    assert.deepEqual(lab().containers(), {});
    assert.deepEqual(lab().volumes(), []);
    assert.equal(fs.existsSync(lab().path), false);
    assert.deepEqual(fs.readdirSync(path.join(lab().store, "releases")), []);
  });

  it("refuses a wrong Compose file before anything stops, in preview and in a deployment", async () => {
    await lab().deploy();
    const before = lab().containers();
    lab().edit("compose.yaml", "  worker:", "  worker:\n    imago: typing-error");
    for (const attempt of [lab().plan(), lab().deploy()]) {
      const error = await failureOf(attempt);
      assert.equal(error.code, "bad-compose-file");
      assert.match(error.message, /imago/);
    }
    assert.deepEqual(lab().containers(), before);
    assert.equal(fs.readdirSync(path.join(lab().store, "releases")).length, 1);
  });

  it("refuses what the project's own check refuses, before anything stops", async () => {
    await lab().deploy();
    const before = lab().containers();
    lab().write(
      "check",
      "#!/bin/sh\ngrep -q hello worker/greeting || { echo bad greeting; exit 1; }\n",
      0o755,
    );
    lab().write("worker/greeting", "hi\n");
    const error = await failureOf(lab().deploy({ checkScript: "check" }));
    assert.equal(error.code, "project-refused");
    assert.match(error.message, /bad greeting/);
    assert.deepEqual(lab().containers(), before);
    assert.deepEqual(fs.readdirSync(path.join(lab().store, "staging")), []);
  });

  it("refuses an image that is not there, before anything stops", async () => {
    await lab().deploy();
    const before = lab().containers();
    lab().edit(
      "compose.yaml",
      "image: groundwork-test/busybox:1",
      "image: groundwork-test/absent:1",
    );
    const error = await failureOf(lab().deploy());
    assert.match(error.message, /the image groundwork-test\/absent:1 is not on the host/);
    assert.deepEqual(lab().containers(), before);
  });

  it("refuses a mount of the project's own files for writing", async () => {
    lab().edit("compose.yaml", "./worker:/etc/worker:ro", "./worker:/etc/worker");
    assert.equal((await failureOf(lab().plan())).code, "writable-project-mount");
    lab().edit("compose.yaml", "./worker:/etc/worker", "./absent:/etc/worker:ro");
    assert.equal((await failureOf(lab().plan())).code, "missing-project-mount");
  });

  it("refuses a place that is not its own", async () => {
    fs.mkdirSync(lab().path);
    assert.equal((await failureOf(lab().deploy())).code, "path-occupied");
    fs.rmdirSync(lab().path);
    await lab().deploy();
    const other = { owner: "test/other" };
    assert.equal((await failureOf(lab().deploy(other))).code, "project-not-ours");
    assert.equal((await failureOf(lab().destroy(other))).code, "project-not-ours");
    assert.equal(lab().page(), "first page");
  });

  for (const step of ["check", "up", "smoke"])
    it(`goes on with the next run when SSH is cut at the step "${step}"`, async () => {
      await lab().deploy();
      lab().write("www/index.html", "second page\n");
      lab().slowDown();
      lab().write("check", "#!/bin/sh\nsleep 2\n", 0o755);
      lab().write("smoke", "#!/bin/sh\nsleep 2\n", 0o755);
      const more = { checkScript: "check", smokeScript: "smoke" };
      lab().reported.length = 0;
      const cut = failureOf(lab().deploy(more));
      await until(() => lab().reported.includes(`tiny: ${step}`), `the step ${step}`);
      lab().sshd.dropConnections();
      assert.equal((await cut).code, "host-connection-lost");
      await lab().deploy(more);
      assert.equal(lab().page(), "second page");
      assert.deepEqual((await lab().plan(more)).steps, []);
      assert.equal(fs.existsSync(path.join(lab().store, "state.json.new")), false);
    });

  it("has one of two deployments wait for the other, and both end well", async () => {
    await lab().deploy();
    lab().write("www/index.html", "second page\n");
    lab().slowDown();
    await Promise.all([lab().deploy(), lab().deploy()]);
    assert.equal(lab().page(), "second page");
    assert.deepEqual(fs.readdirSync(path.join(lab().store, "staging")), []);
    assert.deepEqual((await lab().plan()).steps, []);
  });

  it("leaves the release alone that ran when it began to wait, for another may come back to it", async () => {
    await lab().deploy();
    const release = fs.readlinkSync(lab().path);
    const tree = path.join(path.dirname(lab().path), release);
    lab().engine.docker("rm", "-f", lab().containers()["worker"] ?? "");
    // Stands in for the other deployment: it holds the lock, and makes its own release the present one.
    const lock = path.join(lab().store, "lock");
    const hold = 'exec 9>>"$0"; flock 9; exec sleep infinity';
    const other = spawn("bash", ["-c", hold, lock], { stdio: "ignore" });
    try {
      const waiting = failureOf(lab().deploy({ lockTimeoutSeconds: 7 }));
      const waits = (): boolean => spawnSync("pgrep", ["-f", "^flock -w 7 9$"]).stdout.length > 0;
      await until(waits, "the deployment that waits");
      fs.cpSync(tree, `${tree}-2`, { recursive: true });
      fs.rmSync(lab().path);
      fs.symlinkSync(`${release}-2`, lab().path);
      assert.equal((await waiting).code, "deployment-under-way");
      assert.equal(fs.readFileSync(path.join(tree, "www/index.html"), "utf8"), "first page\n");
    } finally {
      other.kill("SIGKILL");
    }
  });

  it("goes back to a project that was made of other Compose files", async () => {
    const extra = "compose.it's-more.yaml";
    lab().write(extra, `services: { more: { image: ${busybox}, command: [sleep, "3600"] } }\n`);
    await lab().deploy({ composeFiles: ["compose.yaml", extra] });
    const before = lab().containers();
    assert.deepEqual(Object.keys(before).sort(), ["more", "web", "worker"]);
    lab().removeSource(extra);
    breakWeb();
    const error = await failureOf(lab().deploy());
    assert.match(error.message, /The previous project runs again/);
    assert.deepEqual(Object.keys(lab().containers()).sort(), ["more", "web", "worker"]);
    assert.equal(lab().page(), "first page");
  });

  it("refuses a deployment that may not wait while another is under way", async () => {
    await lab().deploy();
    lab().write("www/index.html", "second page\n");
    lab().slowDown();
    lab().reported.length = 0;
    const first = lab().deploy();
    await until(() => lab().reported.includes("tiny: up"), "the first deployment");
    assert.equal(
      (await failureOf(lab().deploy({ lockTimeoutSeconds: 0 }))).code,
      "deployment-under-way",
    );
    await first;
    assert.equal(lab().page(), "second page");
  });
});

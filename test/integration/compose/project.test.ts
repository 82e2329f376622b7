import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import {
  deploy,
  desiredFiles,
  examine,
} from "../../../providers/compose-project/effects/project.ts";
import { removeProject } from "../../../providers/compose-project/effects/remove.ts";
import { openHost } from "../../../providers/host/effects/host.ts";
import { busybox, useComposeLab } from "../../support/compose-lab.ts";
import { startSshd } from "../../support/sshd.ts";

describe("a Compose project on a host over SSH", function () {
  this.timeout(300_000);
  const lab = useComposeLab();

  beforeEach(() => lab().reset());

  it("comes up from nothing, with owner, modes and secrets as they belong", async () => {
    const plan = await lab().plan();
    assert.deepEqual(plan.steps, [
      ...["loadImages", "syncFiles", "checkConfiguration", "composeUp", "smokeTest"],
    ]);
    assert.deepEqual(plan.create, ["web", "worker"]);
    assert.equal(fs.existsSync(lab().store), false, "a plan changes nothing");
    await lab().deploy();
    assert.equal(lab().page(), "first page");
    assert.equal(lab().exec("web", "sh", "-c", "echo $PASSWORD"), "s3cret-$word");
    const mode = (name: string): number => fs.statSync(path.join(lab().path, name)).mode & 0o777;
    assert.equal(mode(".env"), 0o600);
    assert.equal(mode("www/index.html"), 0o644);
    assert.equal(fs.existsSync(path.join(lab().path, "tests")), false);
    assert.deepEqual((await lab().plan()).steps, []);
  });

  it("touches no container when nothing changed", async () => {
    await lab().deploy();
    const before = lab().containers();
    await lab().deploy();
    assert.deepEqual(lab().containers(), before);
  });

  it("makes a new container for the one service whose file changed", async () => {
    await lab().deploy();
    const before = lab().containers();
    lab().write("www/index.html", "second page\n");
    const plan = await lab().plan();
    assert.deepEqual(plan.upload, ["www/index.html"]);
    assert.deepEqual(plan.recreate, ["web"]);
    assert.equal(plan.create, undefined);
    await lab().deploy();
    const now = lab().containers();
    assert.equal(now["worker"], before["worker"]);
    assert.notEqual(now["web"], before["web"]);
    assert.equal(lab().page(), "second page");
  });

  it("keeps the folders that a container mounts as they were when others are deployed", async () => {
    await lab().deploy();
    const before = lab().containers();
    for (const page of ["second page\n", "third page\n", "fourth page\n"]) {
      lab().write("www/index.html", page);
      await lab().deploy();
    }
    assert.equal(lab().containers()["worker"], before["worker"]);
    assert.equal(lab().exec("worker", "cat", "/etc/worker/greeting"), "hello");
    // What runs, what ran before, and what the worker has mounted.
    assert.equal(fs.readdirSync(path.join(lab().store, "releases")).length, 3);
    assert.deepEqual(fs.readdirSync(path.join(lab().store, "staging")), []);
  });

  it("removes a file that is gone here", async () => {
    await lab().deploy();
    const before = lab().containers();
    lab().removeSource("worker/notes");
    assert.deepEqual((await lab().plan()).remove, ["worker/notes"]);
    await lab().deploy();
    assert.equal(fs.existsSync(path.join(lab().path, "worker/notes")), false);
    assert.notEqual(lab().containers()["worker"], before["worker"]);
    assert.equal(lab().containers()["web"], before["web"]);
  });

  it("removes the container of a service that is gone, and changes modes", async () => {
    await lab().deploy();
    lab().edit("compose.yaml", /  worker:[\s\S]*?\nvolumes:/, "volumes:");
    lab().write("worker/greeting", "hello\n", 0o755);
    const plan = await lab().plan();
    assert.deepEqual(plan.takeAway, ["worker"]);
    assert.deepEqual(plan.upload, ["compose.yaml", "worker/greeting"]);
    await lab().deploy();
    assert.deepEqual(Object.keys(lab().containers()), ["web"]);
    assert.equal(fs.statSync(path.join(lab().path, "worker/greeting")).mode & 0o777, 0o755);
  });

  it("starts a service that was stopped, and puts right a file that was changed there", async () => {
    await lab().deploy();
    const before = lab().containers();
    lab().engine.docker("stop", "-t", "1", before["worker"] ?? "");
    assert.deepEqual((await lab().plan()).start, ["worker"]);
    await lab().deploy();
    assert.deepEqual(lab().containers(), before);
    fs.appendFileSync(path.join(lab().path, "worker/greeting"), "changed by hand\n");
    assert.deepEqual((await lab().plan()).upload, ["worker/greeting"]);
    await lab().deploy();
    assert.equal(lab().exec("worker", "cat", "/etc/worker/greeting"), "hello");
  });

  it("gives every service a new secret that uses it", async () => {
    await lab().deploy();
    const before = lab().containers();
    const secrets = { PASSWORD: "it's another" };
    assert.deepEqual((await lab().plan({ secrets })).recreate, ["web"]);
    await lab().deploy({ secrets });
    assert.equal(lab().exec("web", "sh", "-c", "echo $PASSWORD"), "it's another");
    assert.equal(lab().containers()["worker"], before["worker"]);
  });

  it("lets plain `docker compose` work in the project's folder", async () => {
    await lab().deploy();
    const script =
      'cd "$1" && docker compose up -d 2>&1 && docker compose ps --format "{{.Service}}"';
    const before = lab().containers();
    const output = execFileSync("bash", ["-c", script, "bash", lab().path], {
      encoding: "utf8",
      env: { ...process.env, ...lab().engine.environment },
    });
    assert.match(output, /^web$/m);
    assert.deepEqual(lab().containers(), before);
  });

  it("keeps the volumes when it is destroyed, and removes them when told to", async () => {
    await lab().deploy();
    lab().exec("web", "sh", "-c", "echo kept >/data/file");
    await lab().destroy();
    assert.deepEqual(lab().containers(), {});
    assert.deepEqual(lab().volumes(), ["tiny_data"]);
    assert.deepEqual(lab().tree(), []);
    await lab().deploy();
    assert.equal(lab().exec("web", "cat", "/data/file"), "kept");
    await lab().destroy({ deleteData: true });
    assert.deepEqual(lab().volumes(), []);
    await lab().destroy();
  });

  it("loads no image and needs none where it builds them", async () => {
    lab().write("worker/Dockerfile", `FROM ${busybox}\nCOPY greeting /built\n`);
    lab().edit("compose.yaml", `worker:\n    image: ${busybox}`, "worker:\n    build: ./worker");
    const plan = await lab().plan({ images: "build" });
    assert.ok(plan.steps.includes("buildImages"));
    await lab().deploy({ images: "build" });
    assert.equal(lab().exec("worker", "cat", "/built"), "hello");
  });

  it("works by sudo where the user may not use Docker", async () => {
    // Stand-ins: a docker that refuses whoever comes without sudo, and a sudo that only says so.
    const bin = path.join(lab().engine.folder, "bin");
    fs.mkdirSync(bin, { recursive: true });
    const docker = execFileSync("sh", ["-c", "command -v docker"], { encoding: "utf8" }).trim();
    const programs = {
      docker: `[ "$BY_SUDO" = yes ] || exit 1; exec ${docker} "$@"`,
      sudo: '[ "$1" = -n ] && shift; [ "$1" != -- ] || shift; BY_SUDO=yes exec "$@"',
    };
    for (const [name, text] of Object.entries(programs))
      fs.writeFileSync(path.join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    const environment = {
      ...lab().engine.environment,
      PATH: `${bin}:/usr/sbin:/usr/bin:/sbin:/bin`,
    };
    const sshd = await startSshd(environment, lab().engine.namespace);
    try {
      const host = openHost(sshd.hostUri);
      lab().write(
        "check",
        "#!/bin/sh\ndocker version >/dev/null || echo no access\ndocker version\n",
        0o755,
      );
      const args = lab().args({ checkScript: "check" });
      await deploy(host, args, () => undefined);
      assert.equal(lab().page(), "first page");
      const { summary } = await examine(host, args, await desiredFiles(args));
      assert.deepEqual(summary.steps, []);
      await removeProject(host, args);
      assert.deepEqual(lab().containers(), {});
    } finally {
      sshd.stop();
    }
  });
});

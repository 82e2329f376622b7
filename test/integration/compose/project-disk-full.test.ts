import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { openImageStore } from "../../../images/effects/store.ts";
import { ensureArchive } from "../../../scripts/lib/container-images.ts";
import { busybox, useComposeLab, failureOf } from "../../support/compose-lab.ts";
import { startMinio, type TestMinio } from "../../support/minio.ts";

describe("a deployment of a Compose project to a disk that is nearly full", function () {
  this.timeout(300_000);
  let minio: TestMinio;
  let cleanUp = (): void => undefined;

  const lab = useComposeLab({
    needs: ["loop", "minio"],
    diskMiB: 512,
    prepare: async () => {
      minio = await startMinio();
      cleanUp = () => minio.stop();
      process.env["GROUNDWORK_OBJECT_STORE_CREDENTIALS"] = minio.credentialsFile;
    },
  });
  after(() => cleanUp());
  beforeEach(() => {
    lab().engine.fillDisk(undefined);
    lab().reset();
  });

  /** What runs, where it lies, and what the page says. */
  const sight = () => ({
    ...{ containers: lab().containers(), page: lab().page(), release: fs.readlinkSync(lab().path) },
    releases: fs.readdirSync(path.join(lab().store, "releases")),
    staged: fs.readdirSync(path.join(lab().store, "staging")),
  });

  it("is refused before anything stops, in preview and in a deployment, and done once there is room", async () => {
    await lab().deploy();
    const before = sight();
    lab().write("www/index.html", "second page\n");
    lab().engine.fillDisk(40);
    for (const attempt of [() => lab().plan(), () => lab().deploy()]) {
      const error = await failureOf(attempt());
      assert.equal(error.code, "disk-nearly-full");
      assert.match(error.message, /data has (39|40)(\.\d)? MiB free, and 100 MiB are needed/);
    }
    assert.deepEqual(sight(), before);
    lab().engine.fillDisk(undefined);
    await lab().deploy();
    assert.equal(lab().page(), "second page");
  });

  it("starts what is down all the same, for that needs no room", async () => {
    await lab().deploy();
    const before = lab().containers();
    lab().engine.docker("stop", before["worker"] ?? "");
    lab().engine.fillDisk(10);
    await lab().deploy();
    assert.deepEqual(lab().containers(), before);
  });

  it("is refused when an image would not fit, and loads nothing of it", async () => {
    const image = "groundwork-test/large:1";
    const { folder } = lab().engine;
    fs.mkdirSync(path.join(folder, "large"));
    execFileSync("fallocate", ["-l", "150MiB", path.join(folder, "large/zeros")]);
    execFileSync("tar", ["-C", path.join(folder, "large"), "-cf", path.join(folder, "l.tar"), "."]);
    lab().engine.docker("import", path.join(folder, "l.tar"), image);
    const file = path.join(folder, "large.tar");
    lab().engine.docker("save", "-o", file, image);
    lab().engine.docker("rmi", image);
    const { endpoint, region, credentials } = minio;
    const store = openImageStore({ endpoint, region, credentials, bucket: "images" });
    const key = "container-images/large.tar";
    await ensureArchive(store, key, file, () => undefined);

    await lab().deploy();
    const before = sight();
    lab().write("www/index.html", "second page\n");
    lab().engine.fillDisk(120);
    const archives = [{ image, endpoint, region, bucket: "images", key }];
    const error = await failureOf(lab().deploy({ archives }));
    assert.equal(error.code, "disk-nearly-full");
    assert.match(error.message, /Cannot load image groundwork-test\/large:1.* 150 MiB are needed/);
    assert.deepEqual(sight(), before);
    assert.equal(lab().engine.tryDocker("image", "inspect", image).status, 1);
  });

  it("goes back when a new service fills the disk, and says so", async () => {
    await lab().deploy();
    const before = sight();
    lab().edit(
      "compose.yaml",
      'command: [httpd, -f, -p, "8080", -h, /www]',
      'user: "1000"\n    command: [sh, -c, "dd if=/dev/zero of=/tmp/fill bs=1M; exit 1"]',
    );
    const error = await failureOf(lab().deploy());
    assert.equal(error.code, "deployment-failed");
    assert.match(error.message, /Service "web" is exited \(exit code 1\)/);
    assert.match(error.message, /No space left on device/);
    assert.match(error.message, /The previous project runs again/);
    const { web, ...others } = lab().containers();
    assert.notEqual(web, before.containers["web"]);
    assert.deepEqual(others, { worker: before.containers["worker"] });
    assert.deepEqual({ ...sight(), containers: before.containers }, before);
    assert.equal(lab().engine.docker("images", "-q", busybox).length > 0, true);
  });
});

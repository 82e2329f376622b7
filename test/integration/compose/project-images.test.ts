import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { openImageStore } from "../../../images/effects/store.ts";
import { ensureArchive } from "../../../scripts/lib/container-images.ts";
import { busybox, useComposeLab } from "../../support/compose-lab.ts";
import { startMinio, type TestMinio } from "../../support/minio.ts";

describe("images of a Compose project out of the object store", function () {
  this.timeout(300_000);
  let minio: TestMinio;
  let cleanUp = (): void => undefined;
  let archive: Record<string, string>;

  const lab = useComposeLab({
    needs: ["minio"],
    prepare: async () => {
      minio = await startMinio();
      cleanUp = () => minio.stop();
      process.env["GROUNDWORK_OBJECT_STORE_CREDENTIALS"] = minio.credentialsFile;
      const { endpoint, region, credentials } = minio;
      const store = openImageStore({ endpoint, region, credentials, bucket: "images" });
      const file = path.join(lab().engine.folder, "busybox.tar");
      lab().engine.docker("save", "-o", file, busybox);
      const key = "container-images/busybox.tar";
      const lines: string[] = [];
      await ensureArchive(store, key, file, (line) => lines.push(line));
      await ensureArchive(store, key, file, (line) => lines.push(line));
      assert.equal(lines.length, 1, "an archive that is there is not uploaded again");
      archive = { image: busybox, endpoint, region, bucket: "images", key };
    },
  });
  after(() => cleanUp());
  beforeEach(() => {
    lab().reset();
    lab().engine.tryDocker("rmi", "-f", busybox);
  });

  it("loads an image that is missing, and none that is there", async () => {
    await lab().deploy({ archives: [archive] });
    assert.equal(lab().page(), "first page");
    assert.ok(lab().reported.some((line) => line.includes("loading")));
    lab().reported.length = 0;
    lab().write("worker/notes", "two\n");
    await lab().deploy({ archives: [archive] });
    assert.ok(!lab().reported.some((line) => line.includes("loading")));
  });

  it("refuses an archive with another digest, and loads nothing of it", async () => {
    const damaged = { ...archive, sha256: "0".repeat(64) };
    await assert.rejects(lab().deploy({ archives: [damaged] }), { code: "archive-damaged" });
    assert.equal(lab().engine.docker("images", "-q"), "");
    assert.equal(fs.existsSync(lab().path), false);
  });

  it("refuses an archive that holds another image", async () => {
    const other = { ...archive, image: "groundwork-test/other:1" };
    await assert.rejects(lab().deploy({ archives: [other] }), { code: "archive-without-image" });
  });

  it("says so when the archive is not in the store", async () => {
    const absent = { ...archive, key: "container-images/absent.tar" };
    await assert.rejects(lab().deploy({ archives: [absent] }), { code: "image-without-checksum" });
  });
});

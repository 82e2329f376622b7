import { execa } from "execa";
import * as assert from "node:assert/strict";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import { type EnsuredImage, ensureImage, type ImageRequest } from "../../images/index.ts";
import { imageFolder } from "../../images/effects/cache.ts";
import { requireNeeds } from "../support/needs.ts";
import { type TestMinio, startMinio } from "../support/minio.ts";
import { makeScratch, type Scratch } from "../support/scratch.ts";

const hash = (algorithm: string, content: Buffer): string =>
  createHash(algorithm).update(content).digest("hex");

async function readObject(minio: TestMinio, bucket: string, key: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of await minio.client.getObject(bucket, key)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

describe("bringing images into the object store", function () {
  this.timeout(60_000);
  let minio: TestMinio;
  let scratch: Scratch;
  let site: string;
  let bucket = "";
  let good: Buffer;
  /** What the site serves by path; a function answers by itself. */
  const pages = new Map<string, Buffer | ((response: http.ServerResponse) => void)>();
  const asked: string[] = [];
  const undos: (() => void)[] = [];
  let tests = 0;

  before(async function () {
    requireNeeds(this, ["minio", "qemu"]);
    minio = await startMinio();
    undos.push(() => minio.stop());
    const server = http.createServer((request, response) => {
      asked.push(request.url ?? "");
      const page = pages.get(request.url ?? "");
      if (page === undefined) response.writeHead(404).end();
      else if (typeof page === "function") page(response);
      else response.end(page);
    });
    undos.push(() => server.close().closeAllConnections());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    site = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  });
  after(() => {
    for (const undo of undos.reverse()) undo();
  });

  beforeEach(async () => {
    scratch = makeScratch("images");
    tests += 1;
    bucket = `images-${String(tests)}`;
    pages.clear();
    asked.length = 0;
    good = await makeQcow2("good.qcow2", "64M");
    pages.set("/good.img", good);
  });
  afterEach(() => scratch.remove());

  async function makeQcow2(name: string, ...rest: string[]): Promise<Buffer> {
    const file = path.join(scratch.folder, name);
    await execa("qemu-img", ["create", "-q", "-f", "qcow2", file, ...rest]);
    return fs.readFileSync(file);
  }

  const lines: string[] = [];
  function ensure(
    image: ImageRequest,
    change: Partial<{ endpoint: string; secretKey: string }> = {},
  ): Promise<EnsuredImage> {
    lines.length = 0;
    const { secretKey = minio.credentials.secretKey, endpoint = minio.endpoint } = change;
    const credentials = { accessKey: minio.credentials.accessKey, secretKey };
    const store = { endpoint, bucket, region: minio.region, credentials };
    return ensureImage(image, {
      cache: scratch.folder,
      store,
      report: (line) => lines.push(line),
    });
  }

  const cached = (): string[] => fs.readdirSync(imageFolder(scratch.folder)).sort();

  /** Nothing half-done may stay, neither in the cache nor in the store. */
  async function assertNothingLeft(): Promise<void> {
    const folder = imageFolder(scratch.folder);
    assert.deepEqual(fs.existsSync(folder) ? cached() : [], []);
    if (!(await minio.client.bucketExists(bucket))) return;
    for await (const object of minio.client.listObjectsV2(bucket)) assert.fail(String(object));
  }

  describe("from a URL", () => {
    const image = (rest: Partial<ImageRequest> = {}): ImageRequest => ({
      name: "lab",
      url: `${site}/good.img`,
      sha256: hash("sha256", good),
      ...rest,
    });

    it("publishes what was verified, with its checksum beside it", async () => {
      const digest = hash("sha256", good);
      assert.deepEqual(await ensure(image()), {
        digest,
        bytes: good.length,
        built: false,
        uploaded: true,
      });
      assert.deepEqual(await readObject(minio, bucket, "lab.qcow2"), good);
      const sidecar = await readObject(minio, bucket, "lab.qcow2.sha256");
      assert.equal(sidecar.toString(), `${digest}  lab.qcow2\n`);
      assert.match(lines.join("\n"), /lab: downloading 192 KiB .*\nlab: uploading 192 KiB/);
    });

    it("downloads and uploads nothing the second time", async () => {
      await ensure(image());
      asked.length = 0;
      assert.equal((await ensure(image())).uploaded, false);
      assert.deepEqual(asked, []);
      assert.deepEqual(lines, []);
    });

    it("publishes from the cache to a store that lost it", async () => {
      await ensure(image());
      asked.length = 0;
      await minio.client.removeObjects(bucket, ["lab.qcow2", "lab.qcow2.sha256"]);
      assert.equal((await ensure(image())).uploaded, true);
      assert.deepEqual(asked, []);
    });

    it("writes the checksum that a crash after the upload left out", async () => {
      await ensure(image());
      await minio.client.removeObject(bucket, "lab.qcow2.sha256");
      assert.equal((await ensure(image())).uploaded, false);
      assert.equal((await readObject(minio, bucket, "lab.qcow2.sha256")).length, 76);
    });

    it("replaces another image of that name, of the same size too", async () => {
      await ensure(image());
      const other = Buffer.from(good);
      other[other.length - 1] = 1;
      await minio.client.putObject(bucket, "lab.qcow2", other);
      assert.equal((await ensure(image())).uploaded, true);
      assert.deepEqual(await readObject(minio, bucket, "lab.qcow2"), good);
    });

    it("gives a large image its own digest where uploads of others were cut off", async () => {
      const large = await makeQcow2("large.qcow2", "-o", "preallocation=full", "20M");
      pages.set("/large.img", large);
      await minio.client.makeBucket(bucket);
      for (const digest of ["1", "2"])
        await minio.client.initiateNewMultipartUpload(bucket, "lab.qcow2", {
          "x-amz-meta-groundwork-sha256": digest.repeat(64),
        });
      const sha256 = hash("sha256", large);
      await ensure({ name: "lab", url: `${site}/large.img`, sha256 });
      const { metaData } = await minio.client.statObject(bucket, "lab.qcow2");
      assert.equal(metaData["groundwork-sha256"], sha256);
    });

    for (const algorithm of ["sha256", "sha512"])
      it(`verifies against a published list of ${algorithm}`, async () => {
        const list = `${"0".repeat(64)}  other.img\n${hash(algorithm, good)} *good.img\n`;
        pages.set("/SUMS", Buffer.from(list));
        const { digest } = await ensure({
          name: "lab",
          url: `${site}/good.img`,
          sha256SumsUrl: `${site}/SUMS`,
        });
        assert.equal(digest, hash("sha256", good));
      });

    it("refuses a wrong checksum and keeps nothing", async () => {
      await assert.rejects(ensure(image({ sha256: "0".repeat(64) })), {
        code: "image-checksum-mismatch",
        message: /"lab" from http.*has sha256 [0-9a-f]{64}, and it must be 0{64}/,
      });
      await assertNothingLeft();
    });

    it("refuses a pinned checksum that the published list contradicts, before any download", async () => {
      pages.set("/SUMS", Buffer.from(`${"1".repeat(64)}  good.img\n`));
      await assert.rejects(ensure(image({ sha256SumsUrl: `${site}/SUMS` })), {
        code: "image-checksum-mismatch",
      });
      assert.deepEqual(asked, ["/SUMS"]);
    });

    it("refuses a list that does not name the image", async () => {
      pages.set("/SUMS", Buffer.from(`${"1".repeat(64)}  other.img\n`));
      await assert.rejects(
        ensure({ name: "lab", url: `${site}/good.img`, sha256SumsUrl: `${site}/SUMS` }),
        { code: "image-sums-unusable" },
      );
    });

    it("refuses to go without any checksum", async () => {
      await assert.rejects(ensure({ name: "lab", url: `${site}/good.img` }), {
        code: "image-without-checksum",
      });
      assert.deepEqual(asked, []);
    });

    it("refuses a download that is cut short", async () => {
      pages.set("/good.img", (response) => {
        response.writeHead(200, { "content-length": good.length });
        response.write(good.subarray(0, 1000), () => response.destroy());
      });
      await assert.rejects(ensure(image()), { code: "image-download-failed" });
      await assertNothingLeft();
    });

    it("refuses an image on top of another file, its checksum right", async () => {
      const backed = await makeQcow2("backed.qcow2", "-b", "/etc/passwd", "-F", "raw", "-u", "64M");
      pages.set("/good.img", backed);
      await assert.rejects(ensure(image({ sha256: hash("sha256", backed) })), {
        code: "bad-image",
        message: /backing file/,
      });
      await assertNothingLeft();
    });

    it("refuses what is no qcow2", async () => {
      const page = Buffer.from("<html>Not here");
      pages.set("/good.img", page);
      await assert.rejects(ensure(image({ sha256: hash("sha256", page) })), {
        code: "bad-image",
        message: /HTML page/,
      });
      await assertNothingLeft();
    });

    it("says what a server without the image answers", async () => {
      await assert.rejects(ensure(image({ url: `${site}/gone.img` })), {
        code: "image-download-failed",
        message: /gone\.img: the server answers 404/,
      });
    });

    it("clears away what a killed download left, and no other file", async () => {
      const folder = imageFolder(scratch.folder);
      fs.mkdirSync(folder);
      fs.writeFileSync(path.join(folder, "fetched-00.qcow2.4194304.part"), "half");
      fs.writeFileSync(path.join(folder, `fetched-00.qcow2.${String(process.ppid)}.part`), "other");
      await ensure(image());
      assert.deepEqual(
        cached().filter((name) => name.endsWith(".part")),
        [`fetched-00.qcow2.${String(process.ppid)}.part`],
      );
    });

    it("notices a cached image that was damaged, and takes it anew the next time", async () => {
      await ensure(image());
      await minio.client.removeObject(bucket, "lab.qcow2");
      const file = cached().find((name) => name.endsWith(".qcow2")) ?? "";
      fs.appendFileSync(path.join(imageFolder(scratch.folder), file), "x");
      await assert.rejects(ensure(image()), { code: "image-digest-mismatch" });
      assert.equal((await ensure(image())).uploaded, true);
      assert.deepEqual(await readObject(minio, bucket, "lab.qcow2"), good);
    });
  });

  describe("already there", () => {
    const put = async (content: Buffer, sidecar?: string): Promise<void> => {
      await minio.client.makeBucket(bucket);
      await minio.client.putObject(bucket, "own.qcow2", content);
      if (sidecar !== undefined) await minio.client.putObject(bucket, "own.qcow2.sha256", sidecar);
    };

    it("takes an object with its checksum as it is", async () => {
      const digest = hash("sha256", good);
      await put(good, `${digest}  own.qcow2\n`);
      const expected = { digest, bytes: good.length, built: false, uploaded: false };
      assert.deepEqual(await ensure({ name: "own" }), expected);
    });

    it("takes an object whose checksum is pinned", async () => {
      await put(good);
      const sha256 = hash("sha256", good).toUpperCase();
      assert.equal((await ensure({ name: "own", sha256 })).digest, sha256.toLowerCase());
    });

    it("says what to do when the object is missing", async () => {
      await assert.rejects(ensure({ name: "own" }), {
        code: "image-missing",
        message: /no own\.qcow2 in bucket.*Upload own\.qcow2/,
      });
    });

    it("refuses an object without any checksum, or with another than the pinned one", async () => {
      await put(good);
      await assert.rejects(ensure({ name: "own" }), { code: "image-without-checksum" });
      await minio.client.putObject(bucket, "own.qcow2.sha256", `${"1".repeat(64)}  own.qcow2\n`);
      await assert.rejects(ensure({ name: "own", sha256: "0".repeat(64) }), {
        code: "image-digest-mismatch",
      });
    });
  });

  describe("with a store that fails", () => {
    it("says so when credentials are wrong, without showing them", async () => {
      const attempt = ensure({ name: "own" }, { secretKey: "not-the-secret" });
      await assert.rejects(attempt, (error: Error & { code?: string }) => {
        assert.equal(error.code, "object-store-refused");
        assert.match(error.message, /credentials/);
        assert.doesNotMatch(error.message, /not-the-secret/);
        return true;
      });
    });

    it("says so when nothing answers, and goes on once it does", async () => {
      const sha256 = hash("sha256", good);
      minio.halt();
      try {
        await assert.rejects(ensure({ name: "lab", url: `${site}/good.img`, sha256 }), {
          code: "object-store-unreachable",
          message: new RegExp(minio.endpoint),
        });
      } finally {
        await minio.resume();
      }
      assert.equal((await ensure({ name: "lab", url: `${site}/good.img`, sha256 })).uploaded, true);
    });
  });
});

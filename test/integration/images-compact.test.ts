import { execa } from "execa";
import * as assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { compactImage } from "../../images/index.ts";
import { GroundworkError } from "../../providers/errors.ts";
import { startMinio, type TestMinio } from "../support/minio.ts";
import { requireNeeds } from "../support/needs.ts";
import { makeScratch, type Scratch } from "../support/scratch.ts";

const bucket = "images";

describe("compacting an image in the object store", function () {
  this.timeout(120_000);
  let minio: TestMinio;
  let scratch: Scratch;
  const undos: (() => void)[] = [];

  before(async function () {
    requireNeeds(this, ["minio", "qemu"]);
    minio = await startMinio();
    undos.push(() => minio.stop());
    scratch = makeScratch("compact");
    undos.push(() => scratch.remove());
    await minio.client.makeBucket(bucket).catch(() => undefined); // it may be there
  });
  after(() => {
    for (const undo of undos.reverse()) undo();
  });

  const file = (name: string): string => path.join(scratch.folder, name);
  const digestOf = (content: Buffer): string => createHash("sha256").update(content).digest("hex");

  /** A disk of 32 MiB: text that repeats, noise, and zeroes that were written. */
  const makeDisk = (): string => {
    const disk = Buffer.alloc(32 << 20);
    disk.fill("all work and no play ", 1 << 20, 8 << 20);
    randomBytes(1 << 20).copy(disk, 12 << 20);
    fs.writeFileSync(file("disk.raw"), disk);
    return file("disk.raw");
  };
  const publish = async (key: string, content: Buffer, digest = digestOf(content)) => {
    await minio.client.putObject(bucket, key, content);
    await minio.client.putObject(bucket, `${key}.sha256`, `${digest}  ${key}\n`);
  };
  const compact = (
    name: string,
    format: "qcow2" | "raw" | "raw.zst",
    as: string,
    cache = scratch.folder,
  ) => {
    const { endpoint, region, credentials } = minio;
    const store = { endpoint, region, credentials, bucket };
    return compactImage({ name, format }, { cache, store, as, report: () => 0 });
  };
  const keys = async (): Promise<string[]> => {
    const names: string[] = [];
    for await (const { name } of minio.client.listObjectsV2(bucket, "", true))
      names.push((name as string | undefined) ?? "");
    return names;
  };

  for (const format of ["raw", "qcow2"] as const)
    it(`makes a ${format} image smaller, with the same content and its checksum beside it`, async () => {
      const disk = makeDisk();
      const source = file(`source.${format}`);
      // With -S 0 zeroes are written out, as in images of disks that were in use.
      await execa("qemu-img", ["convert", "-S", "0", "-f", "raw", "-O", format, disk, source]);
      const original = fs.readFileSync(source);
      await publish(`base-${format}.${format}`, original);
      const result = await compact(`base-${format}`, format, `small-${format}`);
      assert.equal(result.before, original.length);
      assert.ok((result.after ?? 0) < 2 << 20, `${String(result.after)} bytes`);

      const made = file(`made-${format}.qcow2`);
      await minio.client.fGetObject(bucket, `small-${format}.qcow2`, made);
      assert.equal(digestOf(fs.readFileSync(made)), result.digest);
      await minio.client.fGetObject(bucket, `small-${format}.qcow2.sha256`, file("sum"));
      assert.match(fs.readFileSync(file("sum"), "utf8"), new RegExp(`^${result.digest ?? ""} `));
      await execa("qemu-img", ["compare", "-f", "raw", "-F", "qcow2", disk, made]);
      const { stdout } = await execa("qemu-img", ["info", "--output=json", made]);
      assert.match(stdout, /"compression-type": "zstd"/);
    });

  it("clears away what a killed run left", async () => {
    const left = path.join(scratch.folder, "compact", `${String(2 ** 22 + 1)}-abc`);
    fs.mkdirSync(left);
    await publish("zeroes.raw", Buffer.alloc(1 << 20));
    await compact("zeroes", "raw", "no-zeroes");
    assert.equal(fs.existsSync(left), false);
  });

  it("has room for what fits once that is cleared away", async function () {
    requireNeeds(this, ["root"]);
    const cache = file("small");
    fs.mkdirSync(cache);
    await execa("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", cache]);
    const left = path.join(cache, "compact", `${String(2 ** 22 + 1)}-abc`);
    fs.mkdirSync(left, { recursive: true });
    fs.writeFileSync(path.join(left, "source"), Buffer.alloc(6 << 20));
    await publish("room.raw", Buffer.alloc(2 << 20));
    assert.ok((await compact("room", "raw", "roomy", cache)).after);
  });

  it("writes the checksum that a run which was ended left out", async () => {
    await publish("cut-off.raw", Buffer.alloc(1 << 20));
    const made = await compact("cut-off", "raw", "whole");
    await minio.client.removeObject(bucket, "whole.qcow2.sha256");
    assert.deepEqual(await compact("cut-off", "raw", "whole"), made);
    await minio.client.fGetObject(bucket, "whole.qcow2.sha256", file("sum"));
    assert.match(fs.readFileSync(file("sum"), "utf8"), new RegExp(`^${made.digest ?? ""} `));
    await assert.rejects(compact("cut-off", "raw", "whole"), { code: "image-exists" });
  });

  it("publishes nothing where nothing is gained", async () => {
    await minio.client.fGetObject(bucket, "small-raw.qcow2", file("small.qcow2"));
    await publish("tight.qcow2", fs.readFileSync(file("small.qcow2")));
    const before = await keys();
    const { after } = await compact("tight", "qcow2", "tighter");
    assert.equal(after, undefined);
    assert.deepEqual(await keys(), before);
  });

  it("refuses what it cannot use, and leaves nothing behind", async () => {
    await publish("damaged.raw", fs.readFileSync(makeDisk()), "0".repeat(64));
    await execa("qemu-img", [
      ...["create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd"],
      ...[file("leech.qcow2"), "64M"],
    ]);
    await publish("leech.qcow2", fs.readFileSync(file("leech.qcow2")));
    await minio.client.putObject(bucket, "bare.qcow2", "no checksum");
    const before = await keys();
    for (const [name, format, as, code] of [
      ["absent", "qcow2", "new", "image-missing"],
      ["bare", "qcow2", "new", "image-without-checksum"],
      ["damaged", "raw", "new", "image-digest-mismatch"],
      ["leech", "qcow2", "new", "bad-image"],
      ["base-raw", "raw", "small-raw", "image-exists"],
      ["packed", "raw.zst", "new", "image-packed"],
    ] as const)
      await assert.rejects(compact(name, format, as), (error: unknown) => {
        assert.ok(error instanceof GroundworkError, String(error));
        assert.equal(error.code, code);
        return true;
      });
    assert.deepEqual(await keys(), before);
    assert.deepEqual(fs.readdirSync(file("compact")), []);
  });
});

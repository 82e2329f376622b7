import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  evictFromCache,
  listCache,
  verifyCache,
} from "../../providers/image-cache/effects/cache.ts";
import type { ImageVolumeLab, TestImage } from "../support/image-volume-lab.ts";
import { useImageVolumeLab } from "../support/image-volume-suite.ts";
import { until } from "../support/until.ts";

describe("an image cache that keeps copies which decode faster", function () {
  this.timeout(120_000);
  let lab: ImageVolumeLab;

  useImageVolumeLab({ sizeMiB: 512 }, (made) => {
    lab = made;
  });

  afterEach(async () => {
    await until(() => !isCopying());
    fs.rmSync(lab.cache, { recursive: true, force: true });
  });

  /** A qcow2 of text, which compresses, unlike the random bytes of other tests. */
  const image = async (key: string, type = "zlib"): Promise<TestImage> => {
    const raw = path.join(lab.group.folder, `${key}.raw`);
    const file = path.join(lab.group.folder, key);
    const script = `head -c 8M /dev/urandom | base64 >"$1"; truncate -s 64M "$1"
      qemu-img convert -c -f raw -O qcow2 -o compression_type=$3 "$1" "$2"`;
    execFileSync("bash", ["-c", script, "bash", raw, file, type]);
    const content = fs.readFileSync(file);
    const digest = await lab.upload(key, content);
    return { key, digest, file, raw, bytes: content.length, virtualBytes: 64 * 2 ** 20 };
  };
  const copies = (): string[] =>
    fs.existsSync(lab.cache)
      ? fs
          .readdirSync(lab.cache)
          .filter((name) => name.endsWith(".zstd") && !name.includes(".part"))
      : [];
  const isCopying = (): boolean =>
    fs.existsSync(lab.cache) &&
    fs.readdirSync(lab.cache).some((name) => name.includes(".part.zstd"));
  /** Changes a byte of a file in the cache. */
  const spoil = (name: string): void => {
    const file = path.join(lab.cache, name);
    const content = fs.readFileSync(file);
    content.writeUInt8(content.readUInt8(content.length - 5000) ^ 1, content.length - 5000);
    fs.writeFileSync(file, content);
  };
  const create = (of: TestImage): ReturnType<ImageVolumeLab["create"]> =>
    lab.create(lab.args(of, { cacheEncoding: "zstd" }));

  it("copies an image once a volume has it, and writes the next volume from the copy", async () => {
    const text = await image("text.qcow2");
    await create(text);
    await until(() => copies().length === 1);
    const [copy = ""] = copies();
    const digest = execFileSync("sha256sum", [path.join(lab.cache, copy)], { encoding: "utf8" });
    assert.equal(copy.split(".")[1], digest.split(" ")[0]);
    // Had the entry been read, it would be set aside now and fetched again.
    spoil(lab.cacheFiles().entries[0] ?? "");
    const made = await create(text);
    assert.equal(lab.fetches(text).length, 1);
    lab.assertContent(lab.device(made), text);
    assert.equal(made.outs["digest"], text.digest);
    const mode = fs.statSync(path.join(lab.cache, copy)).mode & 0o777;
    assert.equal(mode, 0o640);
  });

  it("#15 drops a copy that has changed, and takes the entry again", async () => {
    const text = await image("changed.qcow2");
    await create(text);
    await until(() => copies().length === 1);
    spoil(copies()[0] ?? "");
    const made = await lab.create(lab.args(text));
    lab.assertContent(lab.device(made), text);
    assert.deepEqual(copies(), [], "the copy was not tried");
  });

  it("copies nothing that is not compressed, or compressed with zstd already", async () => {
    await create(await lab.image());
    await create(await image("quick.qcow2", "zstd"));
    await create(await lab.image({ raw: true }));
    await sleep(1500);
    assert.deepEqual([copies(), isCopying()], [[], false]);
  });

  it("lists and verifies copies, and evicts them before entries", async () => {
    const text = await image("listed.qcow2");
    await create(text);
    await until(() => copies().length === 1);
    const { files } = await listCache(lab.uri);
    assert.deepEqual(files.map(({ state, digest }) => `${state} ${digest}`).sort(), [
      `encoded ${text.digest}`,
      `whole ${text.digest}`,
    ]);
    assert.deepEqual(
      (await verifyCache(lab.uri)).map(({ result }) => result),
      ["ok", "ok"],
    );
    const { evict } = await evictFromCache(lab.uri, { maxBytes: text.bytes + 1000 });
    assert.deepEqual(
      evict.map(({ file }) => file.state),
      ["encoded"],
    );
    assert.deepEqual(
      (await listCache(lab.uri)).files.map(({ state }) => state),
      ["whole"],
    );
  });
});

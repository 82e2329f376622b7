import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { renderEvict } from "../../providers/image-cache/core/scripts.ts";
import {
  evictFromCache,
  listCache,
  verifyCache,
} from "../../providers/image-cache/effects/cache.ts";
import { prewarmImage } from "../../providers/image-cache/effects/prewarm.ts";
import { openHost } from "../../providers/host/effects/host.ts";
import type { ImageReference } from "../../providers/image-volume/core/arguments.ts";
import { readCacheLayout } from "../../providers/image-volume/effects/hosts.ts";
import * as provider from "../../providers/image-volume/provider.ts";
import { type ImageVolumeLab, type TestImage } from "../support/image-volume-lab.ts";
import { useImageVolumeLab } from "../support/image-volume-suite.ts";
import { endTree, tied } from "../support/scratch.ts";
import { startSshd, type TestSshd } from "../support/sshd.ts";
import { until } from "../support/until.ts";

for (const where of ["this machine", "a host behind SSH"] as const)
  describe(`the image cache of ${where}`, function () {
    this.timeout(120_000);
    let lab: ImageVolumeLab;
    let sshd: TestSshd | undefined;
    let hold = "";

    after(() => sshd?.stop());
    afterEach(() => {
      for (const file of [hold, `${hold}.seen`]) fs.rmSync(file, { force: true });
      fs.rmSync(lab.cache, { recursive: true, force: true });
    });
    useImageVolumeLab({ sizeMiB: 512, needs: ["sshd"] }, async (made) => {
      lab = made;
      // While the file "hold" is there, what writes an image waits for it to go before it opens the image.
      hold = path.join(lab.group.folder, "hold");
      const searchPath = lab.interposeDecoder(
        `while [ -e ${hold} ]; do touch ${hold}.seen; sleep 0.05; done`,
      );
      if (where === "a host behind SSH") {
        sshd = await startSshd({ PATH: searchPath });
        lab.uri = sshd.uri;
      }
    });

    const reference = (image: TestImage): ImageReference => ({
      ...{ endpoint: lab.front.endpoint, bucket: "images", key: image.key },
    });
    const entryOf = (image: TestImage): string =>
      `${lab.cache}/${image.digest}.${String(image.bytes)}.image`;
    /** Prewarms an image as if it had been so many hours ago. */
    const prewarmed = async (hoursAgo = 0): Promise<TestImage> => {
      const image = await lab.image({ dataMiB: 2 });
      await prewarmImage(lab.uri, reference(image));
      const time = Date.now() / 1000 - hoursAgo * 3600;
      fs.utimesSync(entryOf(image), time, time);
      return image;
    };
    const evictedDigests = async (limits: Parameters<typeof evictFromCache>[1]) =>
      (await evictFromCache(lab.uri, limits)).evict.map(({ file }) => file.digest);

    it("lists nothing, and makes no folder, where nothing was ever cached", async () => {
      const { files, freeBytes } = await listCache(lab.uri);
      assert.deepEqual(files, []);
      assert.ok(freeBytes > 2 ** 20);
      assert.ok(!fs.existsSync(lab.cache));
    });

    it("fetches an image once, before any volume needs it", async () => {
      const image = await lab.image();
      const before = await prewarmImage(lab.uri, reference(image));
      assert.deepEqual(before, { digest: image.digest, cache: "miss", bytesToFetch: image.bytes });
      assert.equal((await prewarmImage(lab.uri, reference(image))).cache, "hit");
      assert.deepEqual(lab.cacheFiles(), { entries: [path.basename(entryOf(image))], others: [] });
      const { plan } = await lab.check(lab.args(image));
      assert.equal((plan as { cache: string }).cache, "hit");
      const bodies = lab.front.seen.filter(
        ({ method, path: at, range }) =>
          method === "GET" && at === `/images/${image.key}` && range !== "bytes=0-4095",
      );
      assert.equal(bodies.length, 1);
    });

    it("lists entries with the volumes that were written from them, changing nothing", async () => {
      const image = await lab.image();
      const made = await lab.create(lab.args(image));
      const before = lab.snapshot();
      const { files } = await listCache(lab.uri);
      assert.equal(lab.snapshot(), before);
      assert.deepEqual(
        files.map(({ digest, state, bytes, inUse, volumes }) => ({
          ...{ digest, state, bytes, inUse, volumes },
        })),
        [
          {
            ...{ digest: image.digest, state: "whole", bytes: image.bytes, inUse: false },
            volumes: [made.id],
          },
        ],
      );
    });

    it("counts a volume that is written from an entry as its use", async () => {
      const image = await prewarmed(5);
      await lab.create(lab.args(image));
      const [file] = (await listCache(lab.uri)).files;
      assert.ok(Date.now() / 1000 - (file?.usedAtSeconds ?? 0) < 600);
    });

    it("evicts by age, by count and by size, the longest unused first", async () => {
      const images = [await prewarmed(72), await prewarmed(48), await prewarmed(24)];
      const [oldest, middle, newest] = images.map(({ digest }) => digest);
      const rest = (images[2]?.bytes ?? 0) + 1000;
      assert.deepEqual(await evictedDigests({ maxAgeSeconds: 60 * 3600 }), [oldest]);
      assert.deepEqual(await evictedDigests({ maxEntries: 2 }), []);
      assert.deepEqual(await evictedDigests({ maxBytes: rest }), [middle]);
      assert.deepEqual(await evictedDigests({ maxEntries: 0 }), [newest]);
      assert.deepEqual(fs.readdirSync(lab.cache), []);
    });

    it("says what would go without removing it", async () => {
      const image = await prewarmed();
      const { evict } = await evictFromCache(lab.uri, { maxBytes: 0 }, { dryRun: true });
      assert.equal(evict.length, 1);
      assert.ok(fs.existsSync(entryOf(image)));
    });

    it("#18 does not evict an entry that a volume is being written from", async () => {
      const image = await prewarmed();
      fs.writeFileSync(hold, "");
      const create = lab.create(lab.args(image));
      create.catch(() => undefined);
      await until(() => fs.existsSync(`${hold}.seen`), "the convert", 30);
      assert.equal((await listCache(lab.uri)).files[0]?.inUse, true);
      assert.deepEqual(await evictedDigests({ maxBytes: 0 }), []);
      fs.rmSync(hold);
      lab.assertContent(lab.device(await create), image);
      assert.deepEqual(await evictedDigests({ maxBytes: 0 }), [image.digest]);
    });

    it("does not evict what a fetch has brought so far, while it runs", async () => {
      const image = await lab.image({ dataMiB: 8 });
      lab.front.fault = ({ range, path: at }) =>
        range === "bytes=0-4095" || at.endsWith(".sha256")
          ? undefined
          : { bytesPerSecond: 4 * 2 ** 20 };
      const fetching = prewarmImage(lab.uri, reference(image));
      fetching.catch(() => undefined);
      const has = (pattern: RegExp): boolean =>
        fs.existsSync(lab.cache) && fs.readdirSync(lab.cache).some((name) => pattern.test(name));
      await until(() => has(/\.part/), "the fetch", 30);
      const { files } = await listCache(lab.uri);
      assert.ok(
        files.length > 0 && files.every(({ inUse, state }) => inUse && state === "partial"),
      );
      assert.deepEqual(await evictedDigests({ maxBytes: 0, maxAgeSeconds: 0 }), []);
      await fetching;
      assert.ok(fs.existsSync(entryOf(image)));
    });

    it("evicts all parts of a fetch that was interrupted", async () => {
      const image = await prewarmed();
      fs.renameSync(entryOf(image), `${lab.cache}/${image.digest}.part`);
      fs.writeFileSync(`${lab.cache}/${image.digest}.part.8388608`, "x");
      assert.deepEqual(await evictedDigests({ maxBytes: 0 }), [image.digest, image.digest]);
      assert.deepEqual(fs.readdirSync(lab.cache), []);
    });

    it("fetches again for a volume whose entry was evicted between plan and populate", async () => {
      const image = await prewarmed();
      const inputs = await lab.check(lab.args(image));
      assert.equal((inputs["plan"] as { cache: string }).cache, "hit");
      await evictedDigests({ digests: [image.digest] });
      assert.ok(!fs.existsSync(entryOf(image)));
      lab.assertContent(lab.device(await provider.create(inputs)), image);
    });

    it("keeps an entry that was used since it was listed", async () => {
      const image = await prewarmed(72);
      const [listed] = (await listCache(lab.uri)).files;
      assert.ok(listed);
      fs.utimesSync(entryOf(image), new Date(), new Date());
      const script = renderEvict(readCacheLayout(), [listed]);
      const printed = await openHost(lab.uri).run(script, { purpose: "evict" });
      assert.equal(printed, `kept\t${listed.name}\n`);
      assert.ok(fs.existsSync(entryOf(image)));
    });

    it("finds one flipped bit, sets that entry aside and leaves the others", async () => {
      const [good, bad, cut] = [await prewarmed(), await prewarmed(), await prewarmed()];
      const content = fs.readFileSync(entryOf(bad));
      content.writeUInt8(content.readUInt8(5000) ^ 1, 5000);
      fs.writeFileSync(entryOf(bad), content);
      fs.truncateSync(entryOf(cut), 100);
      const found = await verifyCache(lab.uri);
      assert.deepEqual(
        new Map(found.map(({ file, result }) => [file.digest, result])),
        new Map([
          [good.digest, "ok"],
          [bad.digest, "corrupt"],
          [cut.digest, "corrupt"],
        ]),
      );
      assert.ok(fs.existsSync(`${entryOf(bad)}.corrupt`));
      assert.deepEqual(lab.cacheFiles().entries, [path.basename(entryOf(good))]);
      assert.equal((await prewarmImage(lab.uri, reference(bad))).cache, "miss");
      assert.deepEqual(
        (await verifyCache(lab.uri, [bad.digest])).map(({ result }) => result),
        ["ok"],
      );
    });

    it("leaves a corrupt entry to the run that reads it", async () => {
      const image = await prewarmed();
      fs.appendFileSync(entryOf(image), "x");
      const reader = holdShared(entryOf(image));
      await until(() => isLocked(entryOf(image)), "the lock", 10);
      const results = (await verifyCache(lab.uri)).map(({ result }) => result);
      endTree(reader.pid);
      assert.deepEqual(results, ["corrupt-in-use"]);
      assert.ok(fs.existsSync(entryOf(image)));
    });
  });

function holdShared(file: string): ChildProcess {
  const [command, words] = tied("flock", ["-s", file, "sleep", "60"]);
  return spawn(command, words, { stdio: "ignore" });
}

function isLocked(file: string): boolean {
  return spawnSync("flock", ["-n", file, "true"]).status !== 0;
}

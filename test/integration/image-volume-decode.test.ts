import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import type { PopulateOutcome } from "../../providers/image-volume/core/outcome.ts";
import * as provider from "../../providers/image-volume/provider.ts";
import type { ImageVolumeLab, TestImage } from "../support/image-volume-lab.ts";
import { useImageVolumeLab } from "../support/image-volume-suite.ts";

describe("several volumes that want one image at the same time", function () {
  this.timeout(120_000);
  let lab: ImageVolumeLab;
  let log: string;
  useImageVolumeLab({ sizeMiB: 1536 }, (made) => {
    lab = made;
    log = path.join(lab.group.folder, "conversions");
    lab.interpose("qemu-img", `case "$1" in convert) echo "$*" >>'${log}' ;; esac`);
    lab.interpose("prlimit", `case "$1" in --pid) echo inflate >>'${log}' ;; esac`);
  });
  async function createAtOnce(image: TestImage, count: number) {
    const inputs = [];
    for (let made = 0; made < count; made += 1) inputs.push(await lab.check(lab.args(image)));
    fs.writeFileSync(log, "");
    return Promise.all(inputs.map((each) => provider.create(each)));
  }
  /** How often an image was decoded, and how often qemu-img copied the disk that was in it. */
  function work(): { decoded: number; copied: number } {
    const lines = fs.readFileSync(log, "utf8").split("\n");
    const count = (pattern: RegExp): number => lines.filter((line) => pattern.test(line)).length;
    return { decoded: count(/^inflate|-f qcow2 /), copied: count(/-f raw /) };
  }

  const ways = [
    ["copying what is decoded as it comes", {}, 0],
    [
      "also with zstd, and a disk that ends within a page",
      { compression: "zstd", tailBytes: 1536 },
      0,
    ],
    ["copying it once it is whole where qemu-img decodes", { extendedL2: true }, 5],
  ] as const;
  for (const [way, options, copied] of ways)
    it(`decode it once, ${way}, and leave nothing of that`, async () => {
      const image = await lab.image({ dataMiB: 8, ...options });
      const made = await createAtOnce(image, 5);
      assert.deepEqual(work(), { decoded: 1, copied });
      for (const each of made) lab.assertContent(lab.device(each), image);
      assert.deepEqual(lab.cacheFiles().others, []);
      assert.equal(lab.fetches(image).length, 1);
      const outcomes = made.map(({ outs }) => outs["lastPopulate"] as PopulateOutcome);
      assert.deepEqual(outcomes.map(({ cache }) => cache).sort(), [
        "hit",
        "hit",
        "hit",
        "hit",
        "miss",
      ]);
    });

  for (const extendedL2 of [false, true])
    it(`decode it each for itself ${extendedL2 ? "by qemu-img " : ""}where the cache has no room for the image's disk`, async () => {
      const image = await lab.image({ dataMiB: 8, extendedL2 });
      // For the image itself, and not for twice the 64 MiB of its disk.
      const size = String(image.bytes + 96 * 2 ** 20);
      fs.mkdirSync(lab.cache, { recursive: true, mode: 0o750 });
      execFileSync("mount", ["-t", "tmpfs", "-o", `mode=0750,size=${size}`, "tmpfs", lab.cache]);
      try {
        const made = await createAtOnce(image, 4);
        assert.deepEqual(work(), { decoded: 4, copied: 0 });
        for (const each of made) lab.assertContent(lab.device(each), image);
        assert.equal(lab.fetches(image).length, 1);
        const { entries, others } = lab.cacheFiles();
        assert.deepEqual([entries.length, others], [1, []]);
        // One who comes later needs no second look to know.
        const later = await createAtOnce(image, 3);
        assert.deepEqual(work(), { decoded: 3, copied: 0 });
        for (const each of later) lab.assertContent(lab.device(each), image);
        assert.deepEqual(lab.cacheFiles().others, []);
      } finally {
        execFileSync("umount", ["--lazy", lab.cache]);
      }
      assert.deepEqual(lab.cacheFiles().others, []);
    });

  it("decode it for themselves when they are two", async () => {
    const image = await lab.image({ dataMiB: 8 });
    for (const each of await createAtOnce(image, 2)) lab.assertContent(lab.device(each), image);
    assert.deepEqual(work(), { decoded: 2, copied: 0 });
  });

  it("#15 fetch it anew when the cached one had changed, and write none of that", async () => {
    const image = await lab.image({ dataMiB: 8 });
    await lab.create(lab.args(image));
    const [entry] = lab.cacheFiles().entries.filter((name) => name.startsWith(image.digest));
    const file = path.join(lab.cache, entry ?? "");
    const content = fs.readFileSync(file);
    content.writeUInt8(content.readUInt8(content.length - 70_000) ^ 1, content.length - 70_000);
    fs.writeFileSync(file, content);
    for (const each of await createAtOnce(image, 4)) lab.assertContent(lab.device(each), image);
    const { others } = lab.cacheFiles();
    assert.ok(
      others.every((name) => name.endsWith(".corrupt")),
      others.join(" "),
    );
  });
});

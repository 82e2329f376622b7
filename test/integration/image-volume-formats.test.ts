import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import type { PlanSummary } from "../../providers/image-volume/core/summary.ts";
import { type ImageVolumeLab, rejects } from "../support/image-volume-lab.ts";
import { useImageVolumeLab } from "../support/image-volume-suite.ts";

const large = { maxBuffer: 2 ** 30 };

describe("an image volume and the formats of images", function () {
  this.timeout(120_000);
  let lab: ImageVolumeLab;

  useImageVolumeLab({ sizeMiB: 512 }, (made) => {
    lab = made;
  });

  for (const raw of [false, true])
    for (const pack of [undefined, "gz", "xz", "zst"] as const) {
      const name = [raw ? "raw" : "qcow2", pack].filter(Boolean).join(".");
      it(`writes ${name}, from the network and from the cache, where it stays as it is`, async () => {
        const image = await lab.image({ raw, ...(pack && { pack }) });
        for (const cache of ["miss", "hit"]) {
          const made = await lab.create(lab.args(image));
          assert.equal((made.inputs["plan"] as PlanSummary).cache, cache);
          assert.equal(made.outs["digest"], image.digest);
          lab.assertContent(lab.device(made), image);
        }
        assert.deepEqual(
          fs.readdirSync(lab.cache).filter((file) => file.startsWith(image.digest)),
          [`${image.digest}.${String(image.bytes)}.image`, `${image.digest}.lock`],
        );
      });
    }

  it("#25 leaves no byte of a former owner where a packed raw disk has zeroes", async () => {
    const image = await lab.image({ raw: true, pack: "zst", dataMiB: 2 });
    const args = lab.args(undefined);
    const made = await lab.create(args);
    execFileSync("bash", [
      "-c",
      `tr '\\0' '\\252' </dev/zero | dd of="$1" bs=1M 2>/dev/null || true`,
      "bash",
      lab.device(made),
    ]);
    const { image: object } = lab.args(image);
    lab.assertContent(lab.device(await lab.update(made, { ...args, image: object })), image);
  });

  it("writes a raw disk that is no whole number of sectors, with zeroes behind it", async () => {
    const raw = `${lab.group.folder}/odd.raw`;
    execFileSync("bash", ["-c", 'head -c 3000001 /dev/urandom >"$1"', "bash", raw]);
    for (const pack of ["cat", "gzip", "zstd"] as const) {
      const key = `odd.raw${{ cat: "", gzip: ".gz", zstd: ".zst" }[pack]}`;
      const content = execFileSync(pack, pack === "cat" ? [raw] : ["-c", "-q", raw], large);
      await lab.upload(key, content);
      const made = await lab.create(lab.args({ key, format: "raw" }));
      execFileSync("cmp", ["-n", "3000001", raw, lab.device(made)]);
      lab.assertZeroes(lab.device(made), 3000001);
    }
  });

  it("writes a zstd stream that does not tell its length", async () => {
    const image = await lab.image({ raw: true });
    const content = execFileSync("bash", ["-c", 'zstd -q <"$1"', "bash", image.raw], large);
    await lab.upload("stream.raw.zst", content);
    const made = await lab.create(lab.args({ key: "stream.raw.zst", format: "raw" }));
    lab.assertContent(lab.device(made), image);
  });

  it("#24 refuses what unpacks to more than the volume, before it writes any of it", async () => {
    const image = await lab.image({ raw: true, pack: "xz", virtualMiB: 192 });
    await rejects(lab.create(lab.args(image)), "image-larger-than-volume", /192 MiB/);
    assert.deepEqual(lab.group.volumes(), []);
  });

  it("#22 refuses what is not packed as its name says, or not what it is declared to be", async () => {
    const image = await lab.image();
    await lab.upload("liar.qcow2.gz", fs.readFileSync(image.file));
    await rejects(
      lab.check(lab.args({ key: "liar.qcow2.gz" })),
      "bad-image",
      /says gzip and it is a qcow2 image/,
    );
    await rejects(
      lab.check(lab.args({ ...image, format: "raw" })),
      "bad-image",
      /declared raw and is a qcow2/,
    );
    await lab.upload("inner.qcow2.gz", execFileSync("gzip", ["-c", image.raw], large));
    await rejects(lab.create(lab.args({ key: "inner.qcow2.gz" })), "bad-image", /is not qcow2/);
    await lab.upload("inner.raw.gz", execFileSync("gzip", ["-c", image.file], large));
    await rejects(
      lab.create(lab.args({ key: "inner.raw.gz", format: "raw" })),
      "bad-image",
      /declared raw and is a qcow2/,
    );
    assert.deepEqual(lab.group.volumes(), []);
  });

  it("#15 sets a damaged packed entry aside and fetches it again", async () => {
    const image = await lab.image({ raw: true, pack: "gz" });
    await lab.create(lab.args(image));
    const entry = `${lab.cache}/${image.digest}.${String(image.bytes)}.image`;
    const content = fs.readFileSync(entry);
    content.writeUInt8(content.readUInt8(content.length >> 1) ^ 1, content.length >> 1);
    fs.writeFileSync(entry, content);
    const made = await lab.create(lab.args(image));
    lab.assertContent(lab.device(made), image);
    assert.ok(fs.existsSync(`${entry}.corrupt`));
  });
});

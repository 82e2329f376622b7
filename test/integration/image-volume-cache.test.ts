import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as provider from "../../providers/image-volume/provider.ts";
import { type ImageVolumeLab, type TestImage } from "../support/image-volume-lab.ts";
import { useImageVolumeLab } from "../support/image-volume-suite.ts";
import { freePort } from "../support/scratch.ts";

describe("an image volume's cache", function () {
  this.timeout(120_000);
  let lab: ImageVolumeLab;

  useImageVolumeLab({ sizeMiB: 512 }, (made) => {
    lab = made;
  });

  const endpoint = (text: string, image: TestImage): Record<string, unknown> =>
    lab.args(image, { image: { endpoint: text, bucket: "images", key: image.key } });

  it("#15 sets a corrupt entry aside and fetches the image again", async () => {
    const image = await lab.image();
    const first = await lab.create(lab.args(image));
    const entry = `${lab.cache}/${image.digest}.${String(image.bytes)}.image`;
    const content = fs.readFileSync(entry);
    content.writeUInt8(content.readUInt8(image.bytes - 100_000) ^ 1, image.bytes - 100_000);
    fs.writeFileSync(entry, content);
    const second = await lab.create(lab.args(image));
    lab.assertContent(lab.device(second), image);
    assert.equal(lab.fetches(image).length, 2);
    assert.ok(fs.existsSync(`${entry}.corrupt`));
    assert.deepEqual(fs.readFileSync(entry), fs.readFileSync(image.file));
    await provider.delete(first.id, first.outs);
  });

  it("#16 never counts an entry cut short as a hit", async () => {
    const image = await lab.image();
    await lab.create(lab.args(image));
    fs.truncateSync(`${lab.cache}/${image.digest}.${String(image.bytes)}.image`, 100_000);
    const { plan } = await lab.check(lab.args(image));
    assert.equal((plan as { cache: string }).cache, "miss");
    const made = await lab.create(lab.args(image));
    lab.assertContent(lab.device(made), image);
  });

  it("starts again when what an earlier run had fetched is rubbish", async () => {
    const image = await lab.image();
    fs.mkdirSync(lab.cache, { recursive: true });
    fs.writeFileSync(`${lab.cache}/${image.digest}.part`, Buffer.alloc(1_000_000));
    const made = await lab.create(lab.args(image));
    lab.assertContent(lab.device(made), image);
  });

  it("#19 keeps images of one name in two buckets apart", async () => {
    const [one, two] = [
      await lab.image({ bucket: "first-bucket", key: "same.qcow2" }),
      await lab.image({ bucket: "second-bucket", key: "same.qcow2" }),
    ];
    const from = (bucket: string): Promise<{ id: string }> => {
      const { endpoint: url } = lab.front;
      return lab.create(
        lab.args(undefined, { image: { endpoint: url, bucket, key: "same.qcow2" } }),
      );
    };
    lab.assertContent(lab.device(await from("first-bucket")), one);
    lab.assertContent(lab.device(await from("second-bucket")), two);
  });

  it("needs no store for an image that is pinned and cached", async () => {
    const image = await lab.image();
    await lab.create(lab.args(image));
    const args = endpoint(`http://127.0.0.1:${String(await freePort())}`, image);
    const pinned = { ...args, image: { ...(args["image"] as object), sha256: image.digest } };
    const made = await lab.create(pinned);
    const { cache, bytesToFetch } = made.inputs["plan"] as Record<string, unknown>;
    assert.deepEqual({ cache, bytesToFetch }, { cache: "hit", bytesToFetch: 0 });
    lab.assertContent(lab.device(made), image);
  });
});

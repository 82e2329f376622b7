import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import * as provider from "../../providers/image-volume/provider.ts";
import { emptyExtendedQcow2, hostileImages } from "../support/hostile-images.ts";
import { type ImageVolumeLab, rejects } from "../support/image-volume-lab.ts";
import { useImageVolumeLab } from "../support/image-volume-suite.ts";

describe("an image volume and images that mean harm", function () {
  this.timeout(120_000);
  let lab: ImageVolumeLab;
  let traced = "";

  useImageVolumeLab({ sizeMiB: 512 }, (made) => {
    lab = made;
    traced = path.join(lab.group.folder, "qemu-img-calls");
    lab.interpose("qemu-img", `echo "$@" >>'${traced}'`);
  });

  beforeEach(() => {
    fs.rmSync(traced, { force: true });
  });

  const key = (name: string): string => `${name.replaceAll(/[^a-z0-9]+/gi, "-")}.qcow2`;

  for (const [name, { row, content, says }] of Object.entries(hostileImages))
    it(`#${String(row)} refuses ${name} in preview, before anything is fetched`, async () => {
      await lab.upload(key(name), content);
      const before = lab.snapshot();
      await rejects(lab.check(lab.args({ key: key(name) })), "bad-image", says);
      assert.equal(lab.snapshot(), before);
    });

  for (const name of ["a backing file", "an external data file, by its name alone", "a raw disk"])
    it(`#20 #22 refuses ${name} in the cache before any tool opens it`, async () => {
      const { content, says } = hostileImages[name] ?? { content: Buffer.alloc(0), says: /x/ };
      const digest = await lab.upload(`cached-${key(name)}`, content);
      fs.mkdirSync(lab.cache, { recursive: true });
      fs.writeFileSync(`${lab.cache}/${digest}.${String(content.length)}.image`, content);
      await rejects(lab.create(lab.args({ key: `cached-${key(name)}` })), "bad-image", says);
      assert.equal(fs.existsSync(traced), false, "qemu-img was called");
      assert.deepEqual(lab.group.volumes(), []);
    });

  it("#22 tells qemu-img both formats, so that it probes nothing", async () => {
    await lab.upload("empty.qcow2", emptyExtendedQcow2());
    const made = await lab.create(lab.args({ key: "empty.qcow2" }));
    const calls = fs.readFileSync(traced, "utf8");
    assert.match(
      calls,
      /^convert -p -f qcow2 -O raw -n -W -m 16 -t none (--target-is-zero )?-- \S+ \/dev\/\S+\n$/,
    );
    lab.assertZeroes(lab.device(made));
    await provider.delete(made.id, made.outs);
  });

  it("#22 writes an image whose content looks like another format as it is", async () => {
    // A guest's disk may begin with anything, also with the header of another image.
    const raw = path.join(lab.group.folder, "polyglot.raw");
    fs.writeFileSync(raw, hostileImages["a backing file"]?.content ?? "");
    fs.truncateSync(raw, 64 * 2 ** 20);
    const file = path.join(lab.group.folder, "polyglot.qcow2");
    execFileSync("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, file]);
    await lab.upload("polyglot.qcow2", fs.readFileSync(file));
    const made = await lab.create(lab.args({ key: "polyglot.qcow2" }));
    execFileSync("cmp", ["-n", String(64 * 2 ** 20), raw, lab.device(made)]);
    await provider.delete(made.id, made.outs);
  });

  it("#23 ends a tool that spends without limit", async () => {
    const tools = process.env["PATH"]?.split(":")[0] ?? "";
    const wrapper = fs.readFileSync(path.join(tools, "qemu-img"), "utf8");
    fs.writeFileSync(
      path.join(tools, "qemu-img"),
      `#!/bin/sh\nexec perl -e 'my $all = "x" x (5 * 2**30); sleep 60'\n`,
    );
    try {
      await assert.rejects(lab.create(lab.args({ key: "empty.qcow2" })), /could not be decoded/);
      assert.deepEqual(lab.group.volumes(), []);
    } finally {
      fs.writeFileSync(path.join(tools, "qemu-img"), wrapper);
    }
  });
});

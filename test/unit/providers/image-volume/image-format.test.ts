import * as assert from "node:assert/strict";
import * as zlib from "node:zlib";
import { baseImageFormats, objectOf } from "../../../../providers/image-volume/core/base-image.ts";
import {
  checkDisk,
  checkImage,
  formatOf,
  isPlainQcow2,
} from "../../../../providers/image-volume/core/image-format.ts";
import { emptyQcow2 } from "../../../support/hostile-images.ts";

describe("formatOf", () => {
  it("goes by what is declared and by the end of the name", () => {
    assert.deepEqual(formatOf({ key: "debian.qcow2" }), { disk: "qcow2", packing: "none" });
    assert.deepEqual(formatOf({ key: "debian.img" }), { disk: "qcow2", packing: "none" });
    assert.deepEqual(formatOf({ key: "debian.raw" }), { disk: "qcow2", packing: "none" });
    assert.deepEqual(formatOf({ key: "a/b.raw.xz", format: "raw" }), {
      disk: "raw",
      packing: "xz",
    });
    assert.deepEqual(formatOf({ key: "b.qcow2.zst" }), { disk: "qcow2", packing: "zstd" });
    assert.deepEqual(formatOf({ key: "b.gz" }), { disk: "qcow2", packing: "gzip" });
  });

  it("agrees with the names of base images", () => {
    for (const format of baseImageFormats) {
      const object = objectOf({ name: "debian", format });
      assert.equal(object.key, `debian.${format}`);
      const { disk, packing } = formatOf(object);
      assert.equal(disk, format.split(".")[0]);
      assert.equal(packing === "none", !format.includes("."));
    }
    assert.deepEqual(objectOf({ name: "debian" }), { key: "debian.qcow2" });
  });
});

describe("checkImage", () => {
  const check = (header: Uint8Array, key: string, format?: "raw"): { virtualBytes?: number } =>
    checkImage(header, header.length, formatOf({ key, ...(format && { format }) }), "image x");

  it("knows the size of a disk that is not packed", () => {
    assert.deepEqual(check(emptyQcow2(), "a.qcow2"), { virtualBytes: 64 * 2 ** 20 });
    assert.deepEqual(check(Buffer.alloc(1000), "a.raw", "raw"), { virtualBytes: 1024 });
  });

  it("looks no further than at the packing of a packed one", () => {
    assert.deepEqual(check(zlib.gzipSync(emptyQcow2()), "a.qcow2.gz"), {});
    assert.throws(() => check(emptyQcow2(), "a.qcow2.gz"), /says gzip and it is a qcow2 image/);
    assert.throws(
      () => check(zlib.gzipSync("x"), "a.raw.zst", "raw"),
      /says zstd and it is a gzip/,
    );
    assert.throws(() => check(Buffer.alloc(0), "a.qcow2.xz"), /says xz and it is an empty file/);
  });

  it("refuses a disk that is declared raw and begins as another format does", () => {
    for (const [content, seen] of [
      [emptyQcow2(), "a qcow2 image"],
      [Buffer.from("KDMV"), "a VMDK image"],
      [Buffer.from("vhdxfile"), "a VHDX image"],
      [zlib.gzipSync("x"), "a gzip file"],
      [Buffer.from("<html>"), "an HTML page"],
    ] as const)
      assert.throws(() => checkDisk(content, 4096, "raw", "image x"), new RegExp(`is ${seen}`));
  });
});

describe("isPlainQcow2", () => {
  it("is so for a qcow2 that is read as it is, and for nothing else", () => {
    const formats = (["qcow2", "raw"] as const).flatMap((disk) =>
      (["none", "zstd"] as const).map((packing) => ({ disk, packing })),
    );
    assert.deepEqual(
      formats.filter((format) => isPlainQcow2(format)),
      [{ disk: "qcow2", packing: "none" }],
    );
  });
});

import * as assert from "node:assert/strict";
import { GroundworkError } from "../../../../providers/errors.ts";
import { headerBytes, parseQcow2Header } from "../../../../providers/image-volume/core/qcow2.ts";
import { emptyQcow2, hostileImages } from "../../../support/hostile-images.ts";

const parse = (content: Buffer): ReturnType<typeof parseQcow2Header> =>
  parseQcow2Header(content.subarray(0, headerBytes), content.length);

describe("parseQcow2Header", () => {
  it("reads version 3", () => {
    assert.deepEqual(parse(emptyQcow2(10 * 2 ** 30)), {
      version: 3,
      virtualBytes: 10 * 2 ** 30,
      clusterBytes: 65536,
      compression: "zlib",
      extendedL2: false,
    });
  });

  it("reads version 2, whose header is shorter", () => {
    const image = emptyQcow2();
    image.writeUInt32BE(2, 4);
    image.fill(0, 72, 104);
    assert.equal(parse(image).version, 2);
  });

  it("reads zstd compression, which an extra byte of the header tells", () => {
    const image = emptyQcow2();
    image.writeBigUInt64BE(8n, 72);
    image.writeUInt32BE(112, 100);
    image.writeUInt8(1, 104);
    assert.equal(parse(image).compression, "zstd");
  });

  it("skips extensions that are harmless", () => {
    const image = emptyQcow2();
    image.writeUInt32BE(0x6803f857, 104); // names of features
    image.writeUInt32BE(13, 108);
    assert.equal(parse(image).virtualBytes, 64 * 2 ** 20);
  });

  it("counts extended L2 entries as 16 bytes", () => {
    const image = emptyQcow2(1024 * 2 ** 20); // two L1 entries of 512 MiB
    image.writeBigUInt64BE(1n << 4n, 72); // now each covers 256 MiB
    assert.throws(() => parse(image), /L1 table has 2 entries for 4/);
  });

  for (const [name, { content, says }] of Object.entries(hostileImages))
    it(`refuses ${name}`, () => {
      assert.throws(
        () => parse(content),
        (error: unknown) =>
          error instanceof GroundworkError &&
          error.code === "bad-image" &&
          says.test(error.message),
      );
    });
});

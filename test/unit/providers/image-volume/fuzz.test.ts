import * as assert from "node:assert/strict";
import { headerBytes, parseQcow2Header } from "../../../../providers/image-volume/core/qcow2.ts";
import { parseSidecar } from "../../../../providers/image-volume/core/parsers.ts";
import { assertWithstands, imageStarts, sidecars } from "../../../support/fuzz.ts";

describe("parsers of what others made", function () {
  this.timeout(30 * 60_000);

  it("parseQcow2Header ends with a harmless header or an error of ours on any bytes", () => {
    assertWithstands(
      imageStarts,
      ({ header, fileBytes }) => parseQcow2Header(header.subarray(0, headerBytes), fileBytes),
      ({ version, virtualBytes, clusterBytes }, { header }) => {
        assert.ok(virtualBytes > 0 && virtualBytes % 512 === 0 && virtualBytes <= 64 * 2 ** 40);
        assert.ok(clusterBytes >= 512 && clusterBytes <= 2 ** 21);
        const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
        assert.equal(view.getBigUint64(8), 0n, "a backing file");
        assert.equal(view.getUint32(32), 0, "encryption");
        assert.equal(view.getUint32(60), 0, "snapshots");
        const known = 0b11001n; // dirty, compression type, extended L2
        if (version === 3) assert.equal(view.getBigUint64(72) & ~known, 0n, "features");
      },
    );
  });

  it("parseSidecar gives a digest or an error of ours for any text", () => {
    assertWithstands(
      sidecars,
      (text) => parseSidecar(text, "images/debian.qcow2"),
      (digest, text) => {
        assert.match(digest, /^[0-9a-f]{64}$/);
        assert.ok(text.toLowerCase().includes(digest), "the digest is not in the text");
      },
    );
  });
});

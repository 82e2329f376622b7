import * as assert from "node:assert/strict";
import fc from "fast-check";
import { fileNameOf, parseChecksums } from "../../../../images/core/checksums.ts";

const sha256 = "ab".repeat(32);
const sha512 = "cd".repeat(64);
const other = "12".repeat(32);

describe("parseChecksums", () => {
  const parse = (text: string): unknown => parseChecksums(text, "disk.img", "the list");

  it("reads lists of sha256sum and sha512sum, text or binary, with folders and CRLF", () => {
    for (const line of [
      `${sha256}  disk.img`,
      `${sha256.toUpperCase()} *disk.img`,
      `${sha256}  ./amd64/disk.img\r`,
      `SHA256 (disk.img) = ${sha256}`,
    ])
      assert.deepEqual(parse(`# comment\n${other}  another.img\n${line}\n`), {
        algorithm: "sha256",
        digest: sha256,
      });
    assert.deepEqual(parse(`${sha512}  disk.img\n`), { algorithm: "sha512", digest: sha512 });
  });

  it("looks through a signature around the list", () => {
    const signed = [
      ...["-----BEGIN PGP SIGNED MESSAGE-----", "Hash: SHA256", "", `${sha256}  disk.img`],
      ...["-----BEGIN PGP SIGNATURE-----", "abcdef0123456789", "-----END PGP SIGNATURE-----"],
    ];
    assert.deepEqual(parse(signed.join("\n")), { algorithm: "sha256", digest: sha256 });
  });

  it("takes a single bare digest for the file", () => {
    assert.deepEqual(parse(`${sha256}\n`), { algorithm: "sha256", digest: sha256 });
  });

  it("refuses lists that do not name the file, or name it with two checksums", () => {
    for (const text of [
      "",
      "<html>",
      `${other}  another.img`,
      `${sha256}\n${other}\n`,
      "abc  disk.img",
    ])
      assert.throws(() => parse(text), {
        code: "image-sums-unusable",
        message: /disk\.img.*the list/,
      });
    assert.throws(() => parse(`${sha256}  disk.img\n${other}  disk.img\n`), {
      code: "image-sums-unusable",
      message: /2 different checksums/,
    });
  });

  it("does not take a longer or shorter name for the file's", () => {
    assert.throws(() => parse(`${sha256}  disk.img.asc\n${sha256}  old-disk.img\n`), {
      code: "image-sums-unusable",
    });
  });

  it("finds each file in any list", () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9._-]{0,20}$/), { minLength: 1 });
    fc.assert(
      fc.property(names, fc.nat(), (files, at) => {
        const digestOf = (index: number): string => index.toString(16).padStart(64, "0");
        const text = files.map((file, index) => `${digestOf(index)}  ${file}`).join("\n");
        const index = at % files.length;
        assert.equal(parseChecksums(text, files[index] ?? "", "x").digest, digestOf(index));
      }),
    );
  });
});

describe("fileNameOf", () => {
  it("is the last part of the path, decoded, without query", () => {
    assert.equal(fileNameOf("https://x.example/a/debian%2B1.qcow2?token=1#top"), "debian+1.qcow2");
  });
});

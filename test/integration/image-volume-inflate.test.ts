import * as assert from "node:assert/strict";
import { execFileSync, spawnSync, type SpawnSyncReturns } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import fc from "fast-check";
import { inflateLibrary } from "../../providers/image-volume/core/inflate-library.ts";
import { headerBytes } from "../../providers/image-volume/core/qcow2.ts";
import { requireNeeds } from "../support/needs.ts";
import { makeScratch, type Scratch } from "../support/scratch.ts";

const mebibyte = 2 ** 20;
const deviceBytes = 64 * mebibyte;

/** How the device is before; without libdeflate it is empty, too. */
type Before = "empty" | "full" | "without libdeflate";
type Method = "zlib" | "zstd";

/** Bash: from here on the library cannot be loaded. */
const hideLibdeflate = String.raw`
library=$(ldconfig -p | awk '/libdeflate.so.0 .*x86-64/ && !seen++ { print $NF }')
[ -z "$library" ] || mount --bind /dev/null "$(readlink -f "$library")"`;

/** Bytes that do not compress, the same in each run. */
function noiseAt(index: number): number {
  const mixed = Math.imul(index ^ (index >>> 15), 0x2c1b3c6d);
  return Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39) >>> 24;
}

describe("gw_inflate", function () {
  this.timeout(300_000);
  let scratch: Scratch;
  let device: string;

  before(function () {
    requireNeeds(this, ["root", "loop", "qemu"]);
    scratch = makeScratch("inflate");
    const backing = path.join(scratch.folder, "backing");
    fs.writeFileSync(backing, "cluster_size=64k");
    fs.truncateSync(backing, deviceBytes);
    device = execFileSync("losetup", ["-f", "--show", backing], { encoding: "utf8" }).trim();
  });

  after(() => {
    scratch.remove();
  });

  /** Fills the device, or empties it, and writes the image onto it. */
  function inflate(
    image: string,
    before: Before,
    { header = "", method = "zlib" }: { header?: string; method?: Method } = {},
  ): SpawnSyncReturns<string> {
    const script = `set -euo pipefail
      ${before === "without libdeflate" ? hideLibdeflate : ""}
      ${inflateLibrary}
      gw_inflates "$6"
      if [ "$3" != full ]; then
        fallocate --punch-hole -o 0 -l "$4" -- "$1"; target=--target-is-zero
      else
        { tr '\\0' '\\252' </dev/zero || true; } | dd of="$1" bs=1M oflag=direct iflag=fullblock count=$(($4 >> 20)) status=none; target=''
      fi
      gw_inflate "$1" "$6" "$(stat -c %s "$2")" "$5" <"$2"`;
    const words = [device, image, before, String(deviceBytes), header, method];
    const command = ["60", "unshare", "--mount", "bash", "-c", script, "bash", ...words];
    return spawnSync("timeout", command, { encoding: "utf8" });
  }

  /** A disk with these extents of content in it, as qemu-img writes it. */
  function makeImage(name: string, sectors: number, extents: Extent[], options: string): string {
    const raw = path.join(scratch.folder, `${name}.raw`);
    const image = path.join(scratch.folder, `${name}.qcow2`);
    const disk = Buffer.alloc(sectors * 512);
    for (const { at, kibibytes, noise } of extents) {
      const from = Math.floor((at * disk.length) / 512) * 512;
      const piece = disk.subarray(from, from + kibibytes * 1024);
      for (let index = 0; index < piece.length; index += 1)
        piece[index] = noise ? noiseAt(index) : index % 251;
    }
    fs.writeFileSync(raw, disk);
    fs.rmSync(image, { force: true });
    const words = ["convert", "-f", "raw", "-O", "qcow2", "-o", options];
    if (!options.includes("preallocation")) words.push("-c");
    execFileSync("qemu-img", [...words, raw, image]);
    return image;
  }

  function assertWritten(image: string, before: Before, method: Method = "zlib"): void {
    const raw = image.replace(/qcow2$/, "raw");
    const { status, stderr } = inflate(image, before, { method });
    assert.deepEqual([status, stderr], [0, ""]);
    execFileSync("cmp", ["-n", String(fs.statSync(raw).size), raw, device]);
  }

  interface Extent {
    at: number;
    kibibytes: number;
    noise: boolean;
  }
  const extents = fc.array(
    fc.record({
      at: fc.double({ min: 0, max: 0.99, noNaN: true }),
      kibibytes: fc.integer({ min: 1, max: 4096 }),
      noise: fc.boolean(),
    }),
    { maxLength: 6 },
  );

  it("writes what qemu-img writes: any clusters, holes, and ends within a cluster", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: deviceBytes / 512 }),
        extents,
        fc.constantFrom("4k", "64k", "2M"),
        fc.constantFrom("", "compat=0.10,", "preallocation=metadata,", "compression_type=zstd,"),
        fc.constantFrom("empty" as const, "full" as const, "without libdeflate" as const),
        (sectors, content, cluster, option, before) => {
          const options = `${option}cluster_size=${cluster}`;
          const method = option.includes("zstd") ? "zstd" : "zlib";
          assertWritten(makeImage("any", sectors, content, options), before, method);
        },
      ),
      { numRuns: 40 },
    );
  });

  it("writes clusters that are marked as zeroes, and those that are not compressed", () => {
    const image = makeImage(
      "mixed",
      16 * 2048,
      [{ at: 0, kibibytes: 8192, noise: false }],
      "cluster_size=64k",
    );
    const raw = path.join(scratch.folder, "mixed.raw");
    execFileSync("qemu-io", [
      ...["-f", "qcow2", "-c", "write -z 1M 2M", "-c", "write -P 7 4M 192k", image],
    ]);
    execFileSync("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", image, raw]);
    for (const before of ["empty", "full", "without libdeflate"] as const)
      assertWritten(image, before);
  });

  it("writes nothing from a file whose beginning is not what was checked", () => {
    const image = makeImage(
      "other",
      2048,
      [{ at: 0, kibibytes: 64, noise: true }],
      "cluster_size=64k",
    );
    const header = fs.readFileSync(image).subarray(0, headerBytes);
    header[8] = 1;
    const { status, stderr } = inflate(image, "full", { header: header.toString("hex") });
    assert.deepEqual([status === 0, stderr], [false, "its beginning differs\n"]);
    const first = execFileSync("head", ["-c", String(mebibyte), device], {
      maxBuffer: deviceBytes,
    });
    assert.ok(first.every((byte) => byte === 0o252));
  });

  const assertEnds = (method: Method): void => {
    const image = makeImage(
      "hostile",
      8 * 2048,
      [
        { at: 0, kibibytes: 2048, noise: true },
        { at: 0.5, kibibytes: 2048, noise: false },
      ],
      `cluster_size=64k,compression_type=${method}`,
    );
    const sound = fs.readFileSync(image);
    const tables = Number(sound.readBigUInt64BE(40)); // L1, and behind it L2 and the data
    let refused = 0;
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            at: fc.integer({ min: tables, max: sound.length - 1 }),
            near: fc.integer({ min: 0, max: 2 ** 17 }),
            isNear: fc.boolean(),
            byte: fc.nat(255),
          }),
          { minLength: 1, maxLength: 40 },
        ),
        fc.option(fc.integer({ min: 200, max: sound.length - 1 }), { freq: 4 }),
        (changes, cut) => {
          const bytes = Buffer.from(sound.subarray(0, cut ?? sound.length));
          for (const { at, near, isNear, byte } of changes) {
            const offset = isNear ? tables + near : at;
            if (offset < bytes.length) bytes[offset] = byte;
          }
          const file = path.join(scratch.folder, "hostile.changed");
          fs.writeFileSync(file, bytes);
          const { status, stderr } = inflate(file, "empty", { method });
          assert.ok(
            status === 0 || (status !== 124 && stderr !== ""),
            `${String(status)}: ${stderr}`,
          );
          assert.doesNotMatch(stderr, /Traceback/, "a fault of our own");
          if (status !== 0) refused += 1;
        },
      ),
      { numRuns: 60 },
    );
    assert.ok(refused > 20, `only ${String(refused)} were refused`);
  };
  for (const method of ["zlib", "zstd"] as const)
    it(`ends, with a word of reason, whatever the tables and the data say (${method})`, () => {
      assertEnds(method);
    });

  const assertBounded = (method: Method, bomb: Buffer): void => {
    const image = makeImage(
      "bomb",
      2048,
      [{ at: 0, kibibytes: 64, noise: false }],
      `cluster_size=64k,compression_type=${method}`,
    );
    const bytes = fs.readFileSync(image);
    const table = Number(
      bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(40))) & ((1n << 56n) - 1n),
    );
    const entry = bytes.readBigUInt64BE(table);
    assert.ok((entry & (1n << 62n)) !== 0n);
    const at = bytes.length;
    const sectors = BigInt(Math.ceil(bomb.length / 512));
    bytes.writeBigUInt64BE((1n << 62n) | ((sectors - 1n) << 54n) | BigInt(at), table);
    fs.writeFileSync(image, Buffer.concat([bytes, bomb, Buffer.alloc(512)]));
    // A cluster's worth of what zlib made is what qemu-img takes as well.
    const { status, stderr } = inflate(image, "full", { method });
    const isTaken = method === "zlib" && status === 0;
    assert.ok(isTaken || stderr.includes(`not what ${method} makes`), stderr);
    const behind = execFileSync("bash", [
      "-c",
      'tail -c +1048577 "$1" | head -c 1048576',
      "bash",
      device,
    ]);
    assert.ok(behind.every((byte) => byte === 0o252));
  };

  it("lets no cluster become longer than a cluster", () => {
    const script = `my $z = Compress::Raw::Zlib::Deflate->new(-WindowBits => -12, -AppendOutput => 1);
       my $out = ""; $z->deflate("\\0" x (16 << 20), $out); $z->flush($out); print $out`;
    assertBounded("zlib", execFileSync("perl", ["-MCompress::Raw::Zlib", "-e", script]));
    const input = Buffer.alloc(16 * mebibyte);
    assertBounded("zstd", execFileSync("zstd", ["-q"], { input }));
  });
});

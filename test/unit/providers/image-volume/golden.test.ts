import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { renderEnsureGolden } from "../../../../providers/image-volume/core/golden.ts";
import { thinLibrary } from "../../../../providers/image-volume/core/thin-library.ts";
import { volumeGroupCommands } from "../../../../providers/volume-group/core/commands.ts";
import { cachedImage } from "../../../support/volume-situations.ts";

const bash = (script: string): { out: string; status: number | null } => {
  const { stdout, status } = spawnSync("bash", [], { input: script, encoding: "utf8" });
  return { out: stdout.trim(), status };
};

describe("renderEnsureGolden", () => {
  const script = renderEnsureGolden({
    ...{ commands: volumeGroupCommands("device-mapper"), volumeGroup: "lab", pool: "pool" },
    rates: "/cache/rates",
    image: cachedImage,
  });

  it("is bash", () => {
    const { status, stderr } = spawnSync("bash", ["-n"], { input: script, encoding: "utf8" });
    assert.equal(status, 0, stderr);
  });

  it("looks for room before it makes anything, and marks at the very end", () => {
    const places = [
      "gw_lock /run/lock/groundwork-lab-pool.lock",
      "blocks=$(gw_blocks",
      'gw_pool_takes lab pool "$blocks"',
      "vg_locked lab vg_create_thin",
      "qemu-img convert",
      "gw_fail cache-entry-corrupt",
      'sync -- "$device"',
      "--addtag groundwork.state=populated",
      "gw_done=1",
    ].map((text) => script.lastIndexOf(text));
    assert.ok(!places.includes(-1), places.join());
    assert.deepEqual(
      places,
      [...places].sort((one, other) => one - other),
    );
  });
});

describe("gw_pool_takes", () => {
  /** What it says to so many blocks; free are 1000 blocks and 100 of metadata. */
  const takes = (blocks: number, more = ""): string =>
    bash(`gw_fail() { echo "$1"; exit 0; }
      ${thinLibrary}
      gw_pool() { meta_used=412 meta_all=512 data_used=24 data_all=1024 chunk=65536 mode=rw; ${more === "" ? ":" : more}; }
      gw_pool_takes lab pool ${String(blocks)}; echo fits`).out;

  it("keeps a block of data free", () => {
    assert.equal(takes(999), "fits");
    assert.equal(takes(1000), "thin-pool-full");
  });

  it("keeps metadata for the mappings and for the changes on the way", () => {
    assert.equal(takes(0, "meta_used=479"), "fits");
    assert.equal(takes(0, "meta_used=480"), "thin-metadata-full");
    assert.equal(takes(999, "meta_used=475"), "thin-metadata-full");
  });

  it("touches no pool in which the kernel writes no more", () => {
    assert.equal(takes(1, "mode=out_of_data_space"), "thin-pool-full");
    for (const mode of ["ro", "Fail"]) assert.equal(takes(1, `mode=${mode}`), "thin-pool-unfit");
  });
});

describe("gw_blocks", () => {
  it("counts each block of the pool once, whatever the pieces of the image", () => {
    const piece = (start: number, length: number, data: boolean): string =>
      `{ "start": ${String(start)}, "length": ${String(length)}, "depth": 0, "present": ${String(data)}, "zero": ${String(!data)}, "data": ${String(data)}, "compressed": false},`;
    const map = [
      piece(0, 10, true),
      piece(10, 55, true), // into the second block
      piece(65, 1000, false),
      piece(1065, 64, true), // block 16 and 17
      piece(5_000_000_000, 64, false),
      piece(2 ** 42, 128, true),
    ].join("\n");
    const script = `${thinLibrary}\nprlimit() { cat <<'END'\n${map}\nEND\n}\nchunk=64; gw_blocks x`;
    assert.equal(bash(script).out, "6");
  });
});

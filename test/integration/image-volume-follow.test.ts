import * as assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { followLibrary } from "../../providers/image-volume/core/follow-library.ts";
import type { PopulateOutcome } from "../../providers/image-volume/core/outcome.ts";
import { type ImageVolumeLab, isFetch, rejects } from "../support/image-volume-lab.ts";
import { useImageVolumeLab } from "../support/image-volume-suite.ts";

const mebibyte = 2 ** 20;

describe("a new volume whose image is not in the cache", function () {
  this.timeout(120_000);
  let lab: ImageVolumeLab;
  useImageVolumeLab({ sizeMiB: 1024 }, (made) => {
    lab = made;
  });

  /** Whether the volume begins as the image's disk does. */
  function begins(device: string, raw: string): boolean {
    return (
      fs.existsSync(device) &&
      spawnSync("cmp", ["-s", "-n", String(mebibyte), raw, device]).status === 0
    );
  }

  it("is written while the image comes, and marked when that is right", async () => {
    const image = await lab.image({ dataMiB: 8 });
    lab.front.fault = (request) =>
      isFetch(image, request) ? { bytesPerSecond: 2 * mebibyte } : undefined;
    const args = lab.args(image);
    const creating = lab.create(args);
    const device = `/dev/${lab.group.name}/${String(args["volumeName"])}`;
    const deadline = Date.now() + 60_000;
    while (!begins(device, image.raw)) {
      assert.ok(Date.now() < deadline, "nothing was written");
      await sleep(50);
    }
    assert.deepEqual(lab.cacheFiles().entries, [], "the image was there before it was written");
    const { commands, name } = lab.group;
    const tags = lab.group.bash(commands.lvm("lvs", "--noheadings", "-o", "lv_tags", name));
    assert.doesNotMatch(tags, /state=populated/);
    const made = await creating;
    lab.assertContent(lab.device(made), image);
    const { cache, bytesFetched, steps } = made.outs["lastPopulate"] as PopulateOutcome;
    assert.deepEqual([cache, bytesFetched], ["miss", image.bytes]);
    assert.deepEqual(
      steps.map(({ step }) => step),
      ["fetchImage", "createVolume", "populateVolume", "zeroTail", "markPopulated"],
    );
  });

  it("holds the image also where the fetch had to begin anew", async () => {
    const image = await lab.image({ dataMiB: 8 });
    let asked = 0;
    lab.front.fault = (request) => {
      if (!isFetch(image, request)) return undefined;
      asked += 1;
      return asked === 1
        ? { bytesPerSecond: 4 * mebibyte, cutAfterBytes: 4 * mebibyte }
        : { ignoreRange: true };
    };
    const made = await lab.create(lab.args(image));
    lab.assertContent(lab.device(made), image);
    assert.ok(asked > 1);
  });

  it("does not stay when the image is not what its checksum says", async () => {
    const image = await lab.image({ dataMiB: 8, sidecar: () => "0".repeat(64) });
    lab.front.fault = (request) =>
      isFetch(image, request) ? { bytesPerSecond: 8 * mebibyte } : undefined;
    await rejects(lab.create(lab.args(image)), "digest-mismatch", /0000000/);
    assert.deepEqual(lab.group.volumes(), []);
    const { entries, others } = lab.cacheFiles();
    assert.deepEqual(others, []);
    assert.ok(
      !entries.some((name) => [image.digest, "0".repeat(64)].some((one) => name.startsWith(one))),
      entries.join(" "),
    );
  });

  it("leaves nothing open or running", async () => {
    const image = await lab.image({ dataMiB: 8 });
    await lab.create(lab.args(image));
    const sockets = fs.readdirSync("/run/lock").filter((name) => name.endsWith(".sock"));
    const open = execFileSync("bash", [
      "-c",
      'ls -l /proc/[0-9]*/fd 2>/dev/null | grep -cF -- "$1" || true',
      "bash",
      lab.cache,
    ]);
    assert.deepEqual([sockets, Number(open)], [[], 0]);
  });
});

describe("gw_follow", function () {
  this.timeout(60_000);
  let lab: ImageVolumeLab;
  useImageVolumeLab({ sizeMiB: 256 }, (made) => {
    lab = made;
  });

  function follow(part: string, entry: string, bytes: number, header: Buffer, then: string) {
    const script = `set -euo pipefail; gw_scratch=() gw_background=()
      gw_fail() { echo "failed: $*"; exit 0; }
      trap 'kill "\${gw_background[@]}" 2>/dev/null || true; rm -f -- "\${gw_scratch[@]}"' EXIT
      ${followLibrary}
      gw_follow "$@"
      ${then}`;
    const words = [part, entry, String(bytes), header.toString("hex")];
    return spawnSync("bash", ["-c", script, "bash", ...words], { encoding: "utf8" });
  }

  it("hands nothing of a file to a tool whose beginning is not what was checked", async () => {
    const image = await lab.image();
    const header = Buffer.from(fs.readFileSync(image.file).subarray(0, 4096));
    header[8] = 1; // as if a backing file had been swapped in
    const entry = path.join(lab.group.folder, "none");
    const { stdout, stderr } = follow(
      ...([image.file, entry, image.bytes, header] as const),
      'qemu-img info -f qcow2 "$source" || echo refused',
    );
    assert.match(stdout, /^refused$/m);
    assert.match(stderr, /beginning differs/);
  });

  it("reads the entry itself where it is there", async () => {
    const image = await lab.image();
    const header = fs.readFileSync(image.file).subarray(0, 4096);
    const part = path.join(lab.group.folder, "none");
    const { stdout } = follow(part, image.file, image.bytes, header, 'echo "$source"');
    assert.equal(stdout.trim(), image.file);
  });

  it("ends when the file is not what is being fetched any more", async () => {
    const image = await lab.image();
    const [part, entry] = ["some.part", "no-entry"].map((name) =>
      path.join(lab.group.folder, name),
    );
    assert.ok(part !== undefined && entry !== undefined);
    fs.writeFileSync(part, fs.readFileSync(image.file).subarray(0, 128 * 1024));
    const header = fs.readFileSync(image.file).subarray(0, 4096);
    const { stdout, stderr } = follow(
      ...([part, entry, image.bytes, header] as const),
      `rm -f -- "$1"; echo again >"$1"
       qemu-img convert -f qcow2 -O raw -- "$source" /dev/null 2>&1 || echo ended
       gw_followed "$1" "$2"`,
    );
    assert.match(stderr, /fetched anew/);
    assert.match(stdout, /^ended$/m);
    assert.match(stdout, /^failed: host-changed the image was fetched anew$/m);
  });
});

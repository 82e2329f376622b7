import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import { devicePath, volumeGroupCommands } from "../../providers/volume-group/core/commands.ts";
import { requireNeeds } from "../support/needs.ts";
import { makeVolumeGroup, type TestVolumeGroup } from "../support/volume-group.ts";

const MiB = 1024 * 1024;

/** Loop activation is for kernels without device mapper, and works on the others just as well. */
describe("loop activation", function () {
  this.timeout(60_000);
  let group: TestVolumeGroup;
  let name: string;
  let remove: (() => void) | undefined;
  const vg = volumeGroupCommands("loop");
  const sh = (...lines: string[]): string =>
    execFileSync("bash", [], { input: [vg.prelude, ...lines].join("\n"), encoding: "utf8" });
  const fails = (line: string, reason: RegExp): void => {
    assert.throws(
      () => sh(`exec 2>&1; ${line}`),
      (error: { stdout: string }) => reason.test(error.stdout),
    );
  };
  const sizeOf = (volume: string): number =>
    Number(
      execFileSync("blockdev", ["--getsize64", devicePath(name, volume)], { encoding: "utf8" }),
    );
  const loopsOf = (): string[] =>
    execFileSync("losetup", ["-n", "-l", "-O", "NAME,OFFSET,BACK-FILE"], { encoding: "utf8" })
      .split("\n")
      .filter((line) => line.includes(group.folder) && !/^\S+\s+0\s/.test(line));

  before(function () {
    requireNeeds(this, ["root", "loop", "lvm"]);
    group = makeVolumeGroup({ sizeMiB: 512 });
    name = group.name;
    remove = () => {
      group.remove();
    };
  });
  after(() => {
    remove?.();
  });

  it("makes a volume and its device, with tags", () => {
    sh(vg.create(name, "one", 64 * MiB, ["owner=lab"]));
    assert.equal(sizeOf("one"), 64 * MiB);
    assert.deepEqual(group.tags("one"), ["owner=lab"]);
  });

  it("leaves room behind a volume, so that it can grow beside others", () => {
    sh(vg.create(name, "two", 64 * MiB), vg.extend(name, "one", 100 * MiB));
    assert.equal(sizeOf("one"), 100 * MiB);
  });

  it("keeps the volumes' data apart", () => {
    const write = (volume: string, byte: string): string =>
      `head -c ${String(sizeOf(volume))} /dev/zero | tr '\\0' ${byte} >${devicePath(name, volume)}`;
    const others = (volume: string, byte: string): string =>
      sh(`tr -d ${byte} <${devicePath(name, volume)} | wc -c`).trim();
    sh(write("one", "A"), write("two", "B"));
    assert.equal(others("one", "A"), "0");
    assert.equal(others("two", "B"), "0");
  });

  it("does nothing when it is repeated", () => {
    const before = loopsOf();
    sh(vg.activate(name, "one"), vg.activateAll(name), vg.extend(name, "one", 100 * MiB));
    assert.deepEqual(loopsOf(), before);
  });

  it("makes one device where many activate at once", () => {
    sh(vg.deactivate(name, "one"));
    const activate = vg.activate(name, "one");
    sh(...Array.from({ length: 8 }, () => `{ ${activate}; } &`), "wait");
    assert.equal(loopsOf().length, 2);
  });

  it("grows a volume while it is open, and the open file sees it", () => {
    const path = devicePath(name, "two");
    const before = sizeOf("two");
    const printed = sh(
      `exec {open}<>${path}`,
      vg.extend(name, "two", before + 8 * MiB),
      `blockdev --getsize64 /dev/fd/"$open"`,
      `dd if=/dev/zero of=/dev/fd/"$open" bs=1M seek=${String(before / MiB)} count=8 conv=notrunc status=none`,
    );
    assert.equal(Number(printed), before + 8 * MiB);
  });

  it("refuses to take away a device in use, and names who uses it", async () => {
    const open = fs.openSync(devicePath(name, "one"), "r");
    const holder = spawn("sleep", ["60"], { stdio: [open, "ignore", "ignore"] });
    fs.closeSync(open);
    try {
      await new Promise((resolve) => holder.once("spawn", resolve));
      const reason = new RegExp(`in use by .*${String(holder.pid)} sleep`);
      fails(vg.deactivate(name, "one"), reason);
      fails(vg.remove(name, "one"), reason);
      fails(vg.assertIdle(name, "one"), reason);
      assert.equal(sizeOf("one"), 100 * MiB);
    } finally {
      holder.kill();
    }
  });

  it("repairs a link that leads elsewhere and a device of a former size", () => {
    const loop = fs.readlinkSync(devicePath(name, "one"));
    fs.rmSync(devicePath(name, "one"));
    fs.symlinkSync("/dev/null", devicePath(name, "one"));
    sh(vg.lvm("lvextend", "-q", "--alloc", "contiguous", "-L", "+4m", `${name}/one`));
    sh(vg.resizeActive(name, "one"));
    assert.equal(fs.readlinkSync(devicePath(name, "one")), loop);
    assert.equal(sizeOf("one"), 104 * MiB);
  });

  it("passes discards on to the file", () => {
    const blocks = (): number => fs.statSync(`${group.folder}/pv.img`).blocks;
    const before = blocks();
    sh(`blkdiscard ${devicePath(name, "one")}`);
    assert.ok(before - blocks() >= (100 * MiB) / 512);
  });

  it("refuses to grow past the next volume, and changes nothing", () => {
    fails(vg.extend(name, "one", 400 * MiB), /cannot grow to \d+ bytes in one piece/);
    assert.equal(sizeOf("one"), 104 * MiB);
  });

  it("refuses a volume that is larger than the largest free piece", () => {
    fails(vg.create(name, "three", 400 * MiB), /has no free piece/);
    assert.deepEqual(group.volumes().sort(), ["one", "two"]);
  });

  it("refuses a volume that is not one linear piece", () => {
    sh(
      vg.create(name, "parts", 4 * MiB),
      vg.deactivate(name, "parts"),
      `${vg.lvm("lvcreate", "-q", "-an", "-Zn", "-Wn", "-n", "next", "-l", "1", name)} >/dev/null`,
      `${vg.lvm("lvchange", "-q", "--alloc", "normal", `${name}/parts`)} >/dev/null`,
      `${vg.lvm("lvextend", "-q", "--alloc", "anywhere", "-l", "+100%FREE", `${name}/parts`)} >/dev/null`,
    );
    fails(vg.activate(name, "parts"), /is not one linear piece/);
    sh(vg.lvm("lvremove", "-q", "-f", `${name}/parts`, `${name}/next`));
  });

  it("takes away the device of a volume that was removed past us", () => {
    sh(vg.create(name, "gone", 16 * MiB), vg.lvm("lvremove", "-q", "-f", `${name}/gone`));
    sh(vg.remove(name, "gone"));
    assert.ok(!fs.existsSync(devicePath(name, "gone")));
    assert.equal(loopsOf().length, 2);
  });

  it("hides what guests keep inside their volumes from LVM", () => {
    sh(vg.create(name, "guest", 16 * MiB));
    sh(
      `pvcreate -q --driverloaded n ${devicePath(name, "guest")} >/dev/null 2>&1`,
      `vgcreate -q -A n --driverloaded n inside${name} ${devicePath(name, "guest")} >/dev/null 2>&1`,
    );
    const seen = sh(vg.lvm("vgs", "--noheadings", "-o", "vg_name"));
    assert.ok(!seen.includes(`inside${name}`));
    sh(
      `dd if=/dev/zero of=${devicePath(name, "guest")} bs=1M count=2 status=none`,
      vg.remove(name, "guest"),
    );
  });

  it("takes devices, links and folder away, and removing twice is no mistake", () => {
    sh(
      vg.remove(name, "one"),
      vg.remove(name, "two"),
      vg.remove(name, "two"),
      vg.deactivate(name, "two"),
    );
    assert.deepEqual(loopsOf(), []);
    assert.ok(!fs.existsSync(`/dev/${name}`));
    assert.deepEqual(group.volumes(), []);
  });
});

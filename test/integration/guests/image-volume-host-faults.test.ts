import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { PlanSummary } from "../../../providers/image-volume/core/summary.ts";
import { goldenName } from "../../../providers/image-volume/core/thin.ts";
import * as provider from "../../../providers/image-volume/provider.ts";
import {
  type ImageVolumeLab,
  type Made,
  rejects,
  type TestImage,
} from "../../support/image-volume-lab.ts";
import { useGuestLab } from "../../support/image-volume-suite.ts";
import type { LvmGuest } from "../../support/lvm-guest.ts";

const mebibyte = 2 ** 20;

/**
 * A Python program that leaves 32 blocks of a pool's metadata free. Each device that LVM knows nothing of takes
 * one, and no data; the kernel is told by its own interface (linux/dm-ioctl.h), for as many runs of dmsetup would
 * take an emulated guest minutes.
 */
const takeMetadata = `
import fcntl, struct, subprocess, sys
pool = sys.argv[1]
control = open("/dev/mapper/control", "r+b", buffering=0)
def tell(text):
    message = struct.pack("<Q", 0) + text.encode() + b"\\0"
    size = 312 + len(message)
    head = struct.pack("<3I3Ii3IQ128s129s7x", 4, 0, 0, size, 312, 0, 0, 0, 0, 0, 0, pool.encode(), b"")
    fcntl.ioctl(control, 0xC138FD0E, bytearray(head + message))
def free():
    used, whole = subprocess.check_output(["dmsetup", "status", pool], text=True).split()[4].split("/")
    return int(whole) - int(used)
device = 100000
while free() > 32:
    for device in range(device + 1, device + 17):
        tell(f"create_thin {device}")
`;

describe("faults of a host with a thin pool", function () {
  this.timeout(1_800_000);
  let guest: LvmGuest;
  let lab: ImageVolumeLab;
  let image: TestImage;

  useGuestLab(async (made, there) => {
    [lab, guest] = [made, there];
    image = await lab.image();
  });

  const makePool = (name: string, data: string, metadata: string): void => {
    guest.bash(
      `lvcreate -q -y --type thin-pool -L ${data} --poolmetadatasize ${metadata} --chunksize 64k -n ${name} ${lab.group.name} >&2`,
    );
  };
  const removePool = (name: string): void => {
    guest.bash(`lvremove -q -y ${lab.group.name}/${name}`);
  };
  /** Health, and the percentages of data and metadata: the pool as LVM sees it. */
  const poolReport = (name: string): string =>
    guest.bash(
      `lvs --noheadings -o lv_health_status,data_percent,metadata_percent ${lab.group.name}/${name}`,
    );

  describe("#30 whose data is full", () => {
    before(() => {
      makePool("small", "64M", "4M");
      guest.bash(
        `lvcreate -q -y --type thin -n neighbour -V 32M --thinpool small ${lab.group.name} >&2`,
        `head -c 32M /dev/zero | tr '\\0' a >/dev/${lab.group.name}/neighbour; sync /dev/${lab.group.name}/neighbour`,
      );
    });
    after(() => {
      removePool("small");
    });

    const assertUntouched = (before: string): void => {
      assert.equal(poolReport("small"), before);
      guest.bash(`head -c 32M /dev/zero | tr '\\0' a | cmp - /dev/${lab.group.name}/neighbour`);
      assert.deepEqual(lab.group.volumes().sort(), ["neighbour", "small"]);
    };

    it("#30 refuses an image that is small as a file and too large for the pool, and harms nothing", async () => {
      const before = poolReport("small");
      const large = await compressible(48);
      const args = lab.args({ key: large }, { thinPool: "small" });
      await rejects(lab.create(args), "thin-pool-full", /small: 33554432 bytes are free of the 50/);
      assertUntouched(before);
    });

    it("#30 says so in preview, and fetches nothing, when not even the file would find room", async () => {
      guest.bash(
        `lvcreate -q -y --type thin -n filler -V 30M --thinpool small ${lab.group.name} >&2`,
        `head -c 30M /dev/zero | tr '\\0' a >/dev/${lab.group.name}/filler; sync /dev/${lab.group.name}/filler`,
      );
      const other = await lab.image();
      const inputs = await lab.check(lab.args(other, { thinPool: "small" }));
      assert.match((inputs["plan"] as PlanSummary).obstacle ?? "", /2.0 MiB free/);
      await rejects(provider.create(inputs), "thin-pool-full", /2.0 MiB free/);
      assert.deepEqual(lab.fetches(other), []);
      guest.bash(`lvremove -q -y ${lab.group.name}/filler`);
    });
  });

  it("#30 refuses an image where the pool's metadata is nearly full, and harms nothing", async () => {
    makePool("meta", "256M", "2M");
    const pool = `${lab.group.name}-meta`;
    guest.bash(`python3 - ${pool} <<'END'`, takeMetadata, "END");
    const before = poolReport("meta");
    await rejects(
      lab.create(lab.args(image, { thinPool: "meta" })),
      "thin-metadata-full",
      /KiB are free of the 128 needed/,
    );
    assert.equal(poolReport("meta"), before);
    assert.deepEqual(lab.group.volumes(), ["meta"]);
    removePool("meta");
  });

  describe("whose power fails", () => {
    let done: { made: Made; args: Record<string, unknown> }[];
    let interrupted: Record<string, unknown>;
    let slow: TestImage;

    before(async () => {
      makePool("pool", "1G", "4M");
      [image, slow] = [
        await lab.image(),
        await lab.image({ dataMiB: 16, virtualMiB: 32, extendedL2: true }),
      ];
      const first = await lab.create(lab.args(image));
      await provider.delete(first.id, first.outs);
      // The real qemu-img, held to 100 KiB/s for the one image.
      guest.bash(
        "cat >/usr/local/bin/qemu-img <<'END'",
        "#!/bin/bash",
        `if [ "$1" = convert ] && [[ $* == *${slow.digest}* ]] && [ -e /run/slow ]; then shift; set -- convert -r 100k "$@"; fi`,
        'exec /usr/bin/qemu-img "$@"',
        "END",
        // What is not on the disk before the power fails would be an empty script after it.
        "chmod 755 /usr/local/bin/qemu-img; touch /run/slow; sync",
      );
      interrupted = lab.args(slow);
      const create = lab.create(interrupted);
      create.catch(() => undefined);
      const golden = `${lab.group.name}-${goldenName("pool", slow.digest).replaceAll("-", "--")}`;
      const written = (): number =>
        Number(guest.bash(`dmsetup status ${golden} 2>/dev/null | cut -d' ' -f4 || true`));
      while (written() === 0) await sleep(500);

      const wanted = [lab.args(image), lab.args(image, { provisioning: "thick" })];
      done = await Promise.all(
        wanted.map(async (args) => ({ args, made: await lab.create(args) })),
      );
      await guest.cutPower();
      await assert.rejects(create);
      await guest.powerOn();
      guest.forward(Number(new URL(lab.front.endpoint).port));
    });

    it("#34 has every volume whose making had just ended, whole and marked", async () => {
      for (const { made, args } of done) {
        const [, volume = ""] = made.id.split("/");
        guest.bash(lab.group.commands.prelude, lab.group.commands.activate(lab.group.name, volume));
        guest.assertContent(lab.device(made), image);
        assert.equal((await lab.update(made, args)).changed, false);
      }
    });

    it("#33 does not take what was half converted for the image, and makes it anew", async () => {
      const golden = goldenName("pool", slow.digest);
      assert.deepEqual(lab.group.tags(golden), [
        `groundwork.digest=sha256:${slow.digest}`,
        "groundwork.role=golden",
      ]);
      assert.ok(!lab.group.volumes().includes(String(interrupted["volumeName"])));
      const made = await lab.create(interrupted);
      const { steps } = made.inputs["plan"] as PlanSummary;
      assert.deepEqual(steps, ["makeGolden", "cloneGolden"]);
      guest.assertContent(lab.device(made), slow);
    });
  });

  /** Uploads an image whose data compresses to next to nothing. */
  async function compressible(megabytes: number): Promise<string> {
    const [raw, file] = ["large.raw", "large.qcow2"].map((name) =>
      path.join(lab.group.folder, name),
    ) as [string, string];
    const script = `yes | head -c ${String(megabytes)}M >"$1"; qemu-img convert -c -f raw -O qcow2 "$1" "$2"`;
    execFileSync("bash", ["-c", script, "bash", raw, file]);
    const content = fs.readFileSync(file);
    assert.ok(content.length < 2 * mebibyte);
    await lab.upload("large.qcow2", content);
    return "large.qcow2";
  }
});

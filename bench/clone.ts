import * as provider from "../providers/image-volume/provider.ts";
import { goldenName } from "../providers/image-volume/core/thin.ts";
import { ImageVolumeLab, type TestImage } from "../test/support/image-volume-lab.ts";
import { type LvmGuest, lvmGuest } from "../test/support/lvm-guest.ts";
import type { Measured } from "./core/targets.ts";
import { timed } from "./lab.ts";

/**
 * Measures clones of golden volumes on a guest with device mapper, beside a bare `lvcreate -s` in the
 * same pool, over the same SSH: of a small image, and of one with 16 times the data.
 */
export async function measureClones(
  runs: number,
  note: (name: Measured, seconds: number) => void,
): Promise<void> {
  const guest = await lvmGuest();
  const lab = await ImageVolumeLab.makeOn(guest);
  try {
    const pool = `lvcreate -q -y --type thin-pool -L 2G --zero y -n pool ${lab.group.name}`;
    guest.bash(`${pool} >&2`);
    const images = {
      clone: await lab.image({ dataMiB: 8, virtualMiB: 128 }),
      largeClone: await lab.image({ dataMiB: 128, virtualMiB: 1024 }),
    };
    for (const image of Object.values(images)) await clone(lab, image); // which makes them golden
    for (let run = 0; run < runs; run += 1) {
      note("bareClone", await bareClone(lab, guest, images.clone));
      note("clone", await clone(lab, images.clone));
      note("largeClone", await clone(lab, images.largeClone));
    }
  } finally {
    lab.remove();
  }
}

async function bareClone(lab: ImageVolumeLab, guest: LvmGuest, image: TestImage): Promise<number> {
  const { name } = lab.group;
  const origin = `${name}/${goldenName("pool", image.digest)}`;
  const make = `lvcreate -q -y --snapshot --setactivationskip n -n bare ${origin} >&2`;
  const seconds = await timed(() => {
    guest.bash(make);
    return Promise.resolve();
  });
  guest.bash(`lvremove -q -y ${name}/bare >&2`);
  return seconds;
}

async function clone(lab: ImageVolumeLab, image: TestImage): Promise<number> {
  const args = lab.args(image, { sizeGiB: image.virtualBytes / 2 ** 30 });
  const inputs = await lab.check(args);
  let made: Awaited<ReturnType<typeof provider.create>> | undefined;
  const seconds = await timed(async () => {
    made = await provider.create(inputs);
  });
  if (made) await provider.delete(made.id, made.outs);
  return seconds;
}

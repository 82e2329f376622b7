import { ImageVolumeLab } from "./image-volume-lab.ts";
import { lvmGuest, type LvmGuest, lvmGuestNeeds } from "./lvm-guest.ts";
import { type Need, requireNeeds } from "./needs.ts";

const ownNeeds: readonly Need[] = ["root", "loop", "lvm", "qemu", "minio", "curl"];

/**
 * Gives the tests of the `describe` that calls it one lab, without volumes or faults at the start of
 * each test, and removes it at the end.
 *
 * @param options.needs beyond those of the lab itself
 * @param ready what the tests do with the lab before the first of them
 */
export function useImageVolumeLab(
  options: { sizeMiB: number; needs?: readonly Need[] },
  ready: (lab: ImageVolumeLab) => Promise<void> | void,
): void {
  let lab: ImageVolumeLab | undefined;

  before(async function () {
    requireNeeds(this, [...ownNeeds, ...(options.needs ?? [])]);
    lab = await ImageVolumeLab.make(options);
    await ready(lab);
  });

  afterEach(() => {
    lab?.reset();
  });

  after(() => {
    lab?.remove();
  });
}

/** Gives the tests of the `describe` that calls it the guest with LVM, and one lab on it, removed at the end. */
export function useGuestLab(ready: (lab: ImageVolumeLab, guest: LvmGuest) => Promise<void>): void {
  let lab: ImageVolumeLab | undefined;

  before(async function () {
    requireNeeds(this, [...lvmGuestNeeds, "minio"]);
    const guest = await lvmGuest();
    lab = await ImageVolumeLab.makeOn(guest);
    await ready(lab, guest);
  });

  after(() => {
    lab?.remove();
  });
}

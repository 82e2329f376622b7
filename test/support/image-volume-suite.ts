import { ImageVolumeLab } from "./image-volume-lab.ts";
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

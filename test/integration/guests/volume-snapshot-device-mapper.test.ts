import * as assert from "node:assert/strict";
import * as provider from "../../../providers/image-volume/provider.ts";
import type { MachineVolumes } from "../../../providers/volume-snapshot/core/snapshots.ts";
import {
  createSnapshot,
  deleteSnapshot,
  revertSnapshot,
} from "../../../providers/volume-snapshot/effects/snapshots.ts";
import type { ImageVolumeLab, Made, TestImage } from "../../support/image-volume-lab.ts";
import { useGuestLab } from "../../support/image-volume-suite.ts";
import type { LvmGuest } from "../../support/lvm-guest.ts";

describe("snapshots on a host with device mapper", function () {
  this.timeout(900_000);
  let guest: LvmGuest;
  let lab: ImageVolumeLab;
  let image: TestImage;

  useGuestLab(async (made, there) => {
    [lab, guest] = [made, there];
    guest.bash(
      `lvcreate -q -y --type thin-pool -L 256M --poolmetadatasize 4M --chunksize 64k --zero y -n pool ${lab.group.name} >&2`,
    );
    image = await lab.image();
  });

  const machineOf = (...volumes: string[]): MachineVolumes => ({
    ...{ machine: "vm1", owner: "groundwork/test" },
    volumes: volumes.map((volumeName) => ({
      ...{ volumeGroup: lab.group.name, volumeName, wipe: "none" as const },
    })),
  });
  const write = (made: Made, text: string): void => {
    guest.bash(
      `printf ${text} | dd of=${lab.device(made)} bs=1 seek=20000000 conv=notrunc,fsync status=none`,
    );
  };
  const read = (made: Made): string =>
    guest.bash(`dd if=${lab.device(made)} bs=1 skip=20000000 count=5 status=none`);
  const typeOf = (volume: string): string =>
    guest.bash(`lvs --noheadings -o segtype ${lab.group.name}/${volume}`).trim();

  it("are thin beside thin volumes and copies beside others, and come back as one", async () => {
    const root = await lab.create(lab.args(image, { volumeName: "vm1-root" }));
    const data = await lab.create(
      lab.args(undefined, { volumeName: "vm1-data", sizeGiB: 0.03125, provisioning: "thick" }),
    );
    const machine = machineOf("vm1-root", "vm1-data");
    write(root, "first");
    write(data, "disk1");
    const taken = await createSnapshot(lab.uri, machine, {
      ...{ name: "before", description: "", hold: "pause", nowSeconds: 1_764_300_000 },
    });
    assert.deepEqual([taken.whole, taken.consistency], [true, "off"]);
    assert.deepEqual(
      ["vm1-root", "vm1-data"].map((volume) => typeOf(`${volume}.snap-before`)),
      ["thin", "linear"],
    );
    write(root, "later");
    write(data, "disk2");
    for (let time = 0; time < 2; time += 1) {
      await revertSnapshot(lab.uri, machine, { name: "before", stop: false });
      assert.deepEqual([read(root), read(data)], ["first", "disk1"]);
      write(root, "again");
    }
    assert.equal(typeOf("vm1-root"), "thin");
    assert.equal(
      (await lab.update(root, lab.args(image, { volumeName: "vm1-root" }))).changed,
      false,
    );
    await deleteSnapshot(lab.uri, machine, "before");
    for (const made of [root, data]) await provider.delete(made.id, made.outs);
    assert.deepEqual(
      lab.group.volumes().filter((volume) => volume.startsWith("vm1")),
      [],
    );
  });
});

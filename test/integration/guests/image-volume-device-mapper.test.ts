import * as assert from "node:assert/strict";
import * as provider from "../../../providers/image-volume/provider.ts";
import { type ImageVolumeLab, type TestImage } from "../../support/image-volume-lab.ts";
import { useGuestLab } from "../../support/image-volume-suite.ts";
import type { LvmGuest } from "../../support/lvm-guest.ts";

describe("an image volume on a host with device mapper", function () {
  this.timeout(900_000);
  let guest: LvmGuest;
  let lab: ImageVolumeLab;
  let image: TestImage;

  useGuestLab(async (made, there) => {
    [lab, guest] = [made, there];
    image = await lab.image();
  });

  it("is created, read, grown and removed", async () => {
    const args = lab.args(image);
    const made = await lab.create(args);
    const volume = made.id.split("/")[1] ?? "";
    assert.equal(
      guest.bash(
        `dmsetup table ${made.id.replace("/", "-").replace("-root", "--root")} | cut -d' ' -f3`,
      ),
      "linear",
    );
    guest.assertContent(lab.device(made), image);
    assert.deepEqual(lab.group.tags(volume), [
      `groundwork.digest=sha256:${image.digest}`,
      "groundwork.owner=groundwork/test",
      "groundwork.state=populated",
      "groundwork.writes=1",
    ]);

    const { props } = await provider.read(made.id, made.outs);
    assert.equal(props?.["digest"], image.digest);
    assert.equal((await lab.update(made, args)).changed, false);

    const grown = await lab.update(made, { ...args, sizeGiB: 0.125 });
    assert.equal(grown.outs["sizeBytes"], 128 * 2 ** 20);
    guest.assertContent(lab.device(made), image);

    await provider.delete(grown.id, grown.outs);
    assert.deepEqual(lab.group.volumes(), []);
    assert.deepEqual(await provider.read(grown.id, grown.outs), {});
  });
});

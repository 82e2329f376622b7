import { execFileSync, spawn } from "node:child_process";
import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as provider from "../../providers/image-volume/provider.ts";
import {
  fillWith0xAA,
  type ImageVolumeLab,
  rejects,
  type TestImage,
} from "../support/image-volume-lab.ts";
import { useImageVolumeLab } from "../support/image-volume-suite.ts";
import { endTree, tied } from "../support/scratch.ts";

describe("an image volume that must not be made, changed or removed", function () {
  this.timeout(120_000);
  let lab: ImageVolumeLab;
  let image: TestImage;

  useImageVolumeLab({ sizeMiB: 2048 }, async (made) => {
    lab = made;
    image = await lab.image();
  });

  const remove = async (
    ...made: { id: string; outs: Record<string, unknown> }[]
  ): Promise<void> => {
    for (const { id, outs } of made) await provider.delete(id, outs);
  };

  it("#24 refuses in preview an image larger than the volume", async () => {
    const large = await lab.image({ virtualMiB: 192 });
    await rejects(
      lab.check(lab.args(large)),
      "image-larger-than-volume",
      /needs 192 MiB and the volume has 128 MiB.*Set sizeGiB to 1 or more/,
    );
    assert.deepEqual(lab.group.volumes(), []);
  });

  it("#24 refuses an image larger than the volume that only the cache knows, before any write", async () => {
    const large = await lab.image({ virtualMiB: 192 });
    const roomy = await lab.create(lab.args(large, { sizeGiB: 0.25 }));
    const before = lab.group.volumes();
    await rejects(lab.create(lab.args(large)), "image-larger-than-volume", /needs 192 MiB/);
    assert.deepEqual(lab.group.volumes(), before);
    await remove(roomy);
  });

  it("#26 #39 names the domain that has the volume open, and changes and removes it only afterwards", async () => {
    const made = await lab.create(lab.args(image));
    // A paused guest: its processor never starts.
    const [command, args] = tied("qemu-system-x86_64", [
      ...["-name", "guest=vm9,debug-threads=on", "-accel", "tcg", "-machine", "none", "-S"],
      ...["-nodefaults", "-display", "none", "-serial", "none", "-monitor", "none"],
      ...["-blockdev", `driver=host_device,node-name=d,filename=${lab.device(made)}`],
    ]);
    const guest = spawn(command, args, { stdio: "ignore" });
    const real = fs.realpathSync(lab.device(made));
    while (
      !execFileSync("bash", ["-c", `ls -l /proc/${String(guest.pid)}/fd || true`], {
        encoding: "utf8",
      }).includes(real)
    )
      await new Promise((resolve) => setTimeout(resolve, 50));
    const next = await lab.image();
    const changed = lab.args(next, { volumeName: made.id.split("/")[1] });
    await rejects(lab.update(made, changed), "volume-in-use", /domain "vm9"/);
    await rejects(provider.delete(made.id, made.outs), "volume-in-use", /domain "vm9"/);
    lab.assertContent(lab.device(made), image);
    endTree(guest.pid);
    await remove(made);
    assert.deepEqual(lab.group.volumes(), []);
  });

  it("#28 touches no volume that is not ours, and takes one over with its content when told to", async () => {
    const { group } = lab;
    group.bash(group.commands.create(group.name, "theirs", 128 * 2 ** 20, ["somebody=else"]));
    fillWith0xAA(`/dev/${group.name}/theirs`);
    const args = lab.args(image, { volumeName: "theirs" });
    await rejects(lab.check(args), "volume-not-ours", /carries no owner of ours.*adopt/);
    await rejects(
      provider.delete(`${group.name}/theirs`, args),
      "volume-not-ours",
      /pulumi state delete/,
    );
    const adopted = await lab.create({ ...args, adopt: true });
    assert.deepEqual((adopted.inputs["plan"] as { steps: string[] }).steps, ["adoptVolume"]);
    assert.equal(
      fs.readFileSync(lab.device(adopted)).every((byte) => byte === 0xaa),
      true,
    );
    assert.deepEqual(group.tags("theirs"), [
      `groundwork.digest=sha256:${image.digest}`,
      "groundwork.owner=groundwork/test",
      "groundwork.state=adopted",
      "somebody=else",
    ]);
    assert.equal((await lab.update(adopted, { ...args, adopt: true })).changed, false);
    await rejects(
      lab.check({ ...args, owner: "groundwork/other" }),
      "volume-not-ours",
      /belongs to the stack "groundwork\/test"/,
    );
    await remove(adopted);
  });

  it("#29 keeps a reused volume, unmarked, when populating it fails", async () => {
    const args = lab.args(image);
    const made = await lab.create(args);
    const name = made.id.split("/")[1] ?? "";
    await lab.upload("broken.qcow2", brokenInside(image));
    const changed = { ...args, image: { ...(args["image"] as object), key: "broken.qcow2" } };
    await assert.rejects(lab.update(made, changed), /the image could not be decoded/);
    assert.ok(lab.group.volumes().includes(name));
    assert.deepEqual(lab.group.tags(name), [
      ...["groundwork.owner=groundwork/test", "groundwork.writes=1"],
    ]);
    const mended = await lab.create(args);
    lab.assertContent(lab.device(mended), image);
    await remove(mended);
  });

  it("removes a volume that it made itself when populating it fails", async () => {
    await assert.rejects(
      lab.create(lab.args({ key: "broken.qcow2" })),
      /the image could not be decoded/,
    );
    assert.deepEqual(lab.group.volumes(), []);
  });

  it("#30 says at once that the volume group is too small, and touches nothing", async () => {
    const args = lab.args(image, { sizeGiB: 4 });
    const preview = await lab.check(args);
    assert.match(
      String((preview["plan"] as { obstacle?: string }).obstacle),
      /free of the 4 GiB needed/,
    );
    await rejects(provider.create(preview), "volume-group-full", /vgextend/);
    assert.deepEqual(lab.group.volumes(), []);
  });

  it("says that a volume group is missing", async () => {
    await rejects(
      lab.check(lab.args(image, { volumeGroup: "no-such-group" })),
      "volume-group-missing",
      /there is no volume group "no-such-group".*vgcreate/,
    );
  });

  for (const volumeName of ["a;touch x", "$(id)", "a b", "-rf", "..", "a/b", "pvmove0"])
    it(`#40 refuses a volume called ${JSON.stringify(volumeName)}`, async () => {
      await assert.rejects(lab.check(lab.args(image, { volumeName })), /volumeName: /);
    });
});

/** The image with a table that no tool can follow, which its header does not tell. */
function brokenInside(image: TestImage): Buffer {
  const content = fs.readFileSync(image.file);
  content.writeBigUInt64BE((1n << 63n) | 0x10200n, Number(content.readBigUInt64BE(40)));
  return content;
}

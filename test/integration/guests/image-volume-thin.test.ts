import * as assert from "node:assert/strict";
import { listCache } from "../../../providers/image-cache/effects/cache.ts";
import { removeSpareGolden } from "../../../providers/image-cache/effects/golden.ts";
import { goldenName } from "../../../providers/image-volume/core/thin.ts";
import type { PlanSummary } from "../../../providers/image-volume/core/summary.ts";
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

describe("an image volume in a thin pool", function () {
  this.timeout(900_000);
  let guest: LvmGuest;
  let lab: ImageVolumeLab;
  let image: TestImage;

  useGuestLab(async (made, there) => {
    [lab, guest] = [made, there];
    makePool("pool", 512);
    image = await lab.image();
  });

  function makePool(name: string, megabytes: number): void {
    const { group } = lab;
    guest.bash(
      `lvcreate -q -y --type thin-pool -L ${String(megabytes)}M --poolmetadatasize 4M --chunksize 64k --zero y -n ${name} ${group.name} >&2`,
    );
  }

  const volumeOf = (made: Pick<Made, "id">): string => made.id.split("/")[1] ?? "";
  const report = (column: string, volume: string): string =>
    guest.bash(`lvs --noheadings -o ${column} ${lab.group.name}/${volume}`).trim();
  const planOf = ({ inputs }: Pick<Made, "inputs">): PlanSummary => inputs["plan"] as PlanSummary;
  const golden = (of: TestImage): string => goldenName("pool", of.digest);

  it("is a clone of the image's golden volume, which is made once", async () => {
    const args = lab.args(image);
    const first = await lab.create(args);
    const { cache, bytesToFetch, bytesToWrite, steps } = planOf(first);
    assert.deepEqual(
      [cache, bytesToFetch, bytesToWrite],
      ["miss", image.bytes, image.virtualBytes],
    );
    assert.deepEqual(steps, ["fetchImage", "makeGolden", "cloneGolden"]);
    guest.assertContent(lab.device(first), image);
    assert.deepEqual(lab.group.tags(volumeOf(first)), [
      `groundwork.digest=sha256:${image.digest}`,
      "groundwork.owner=groundwork/test",
      "groundwork.state=populated",
      "groundwork.writes=1",
    ]);
    assert.deepEqual([first.outs["provisionedAs"], first.outs["pool"]], ["thin", "pool"]);
    assert.equal((await lab.update(first, args)).changed, false);

    const second = await lab.create(lab.args(image, { sizeGiB: 0.125 }));
    assert.deepEqual(
      [planOf(second).cache, planOf(second).bytesToFetch, planOf(second).bytesToWrite],
      ["hit", 0, 0],
    );
    assert.deepEqual(planOf(second).steps, ["cloneGolden"]);
    assert.equal(second.outs["sizeBytes"], 128 * mebibyte);
    guest.assertContent(lab.device(second), image);

    for (const made of [first, second]) await provider.delete(made.id, made.outs);
    assert.deepEqual(lab.group.volumes().sort(), ["pool", golden(image)], "the golden one stays");
  });

  it("keeps the golden volume from everybody, and its clones apart", async () => {
    assert.match(report("lv_attr", golden(image)), /^Vri---tz-k/, "read-only, inactive, skipped");
    assert.deepEqual(lab.group.tags(golden(image)), [
      `groundwork.digest=sha256:${image.digest}`,
      "groundwork.role=golden",
      "groundwork.state=populated",
    ]);
    const spoilt = await lab.create(lab.args(image));
    guest.bash(`head -c 1M /dev/urandom >${lab.device(spoilt)}; sync ${lab.device(spoilt)}`);
    // As an administrator who looks into it, or a run that makes it anew, has it.
    const id = `${lab.group.name}/${golden(image)}`;
    guest.bash(`lvchange -q -ay -K ${id} >&2`);
    const fresh = await lab.create(lab.args(image));
    guest.bash(`lvchange -q -an ${id} >&2`);
    guest.assertContent(lab.device(fresh), image);
    for (const made of [spoilt, fresh]) await provider.delete(made.id, made.outs);
  });

  it("leaves a volume alone that has taken its name since the plan", async () => {
    const args = lab.args(image);
    const inputs = await lab.check(args);
    const id = `${lab.group.name}/${String(args["volumeName"])}`;
    guest.bash(
      `lvcreate -q -y --type thin -V 64M --thinpool pool -n ${String(args["volumeName"])} ${lab.group.name} >&2`,
    );
    await rejects(provider.create(inputs), "volume-not-ours", /carries no owner/);
    assert.match(report("lv_size", String(args["volumeName"])), /^64/);
    guest.bash(`lvremove -q -y ${id} >&2`);
  });

  it("is not a clone where it shall be thick, and is replaced when that changes", async () => {
    const args = lab.args(image, { provisioning: "thick" });
    const made = await lab.create(args);
    assert.equal(report("segtype", volumeOf(made)), "linear");
    guest.assertContent(lab.device(made), image);
    const { provisioning, ...open } = args;
    assert.equal(provisioning, "thick");
    assert.equal((await lab.update(made, open)).changed, false);
    const inputs = await lab.check({ ...args, provisioning: "thin" }, made.inputs);
    const { replaces, deleteBeforeReplace } = await provider.diff(made.id, made.outs, inputs);
    assert.deepEqual([replaces, deleteBeforeReplace], [["provisioning"], true]);
    await provider.delete(made.id, made.outs);
  });

  it("takes no space while it is blank, and none for what it grows by", async () => {
    const args = lab.args(undefined, { thinPool: "pool" });
    const made = await lab.create(args);
    assert.deepEqual(planOf(made).steps, ["createVolume", "markPopulated"]);
    const grown = await lab.update(made, { ...args, sizeGiB: 0.125 });
    assert.equal(grown.outs["sizeBytes"], 128 * mebibyte);
    assert.equal(report("data_percent", volumeOf(made)), "0.00");
    await provider.delete(grown.id, grown.outs);
  });

  it("is written in place with another image, and nothing of the former shows", async () => {
    const former = await lab.image({ dataMiB: 16, virtualMiB: 48 });
    const args = lab.args(former);
    const made = await lab.create(args);
    const updated = await lab.update(made, {
      ...args,
      image: { ...(args["image"] as object), key: image.key },
    });
    assert.equal(updated.outs["digest"], image.digest);
    guest.assertContent(lab.device(updated), image);
    assert.ok(Number(report("data_percent", volumeOf(made))) < 10, "holes were written");
    await provider.delete(updated.id, updated.outs);
    guest.bash(`lvremove -q -y ${lab.group.name}/${golden(former)}`);
  });

  it("makes one golden volume for three that are created at once", async () => {
    const other = await lab.image();
    const made = await Promise.all([1, 2, 3].map(() => lab.create(lab.args(other))));
    for (const each of made) guest.assertContent(lab.device(each), other);
    for (const each of made) await provider.delete(each.id, each.outs);
    guest.bash(`lvremove -q -y ${lab.group.name}/${golden(other)}`);
  });

  it("is listed as a clone by the cache, which removes a golden volume once it has none", async () => {
    const other = await lab.image();
    const name = `${lab.group.name}/${golden(other)}`;
    const digests = [other.digest];
    const made = await lab.create(lab.args(other));
    const listed = (await listCache(lab.uri)).golden.find(({ id }) => id === name);
    assert.deepEqual(
      [listed?.digest, listed?.sizeBytes, listed?.complete, listed?.volumes],
      [other.digest, other.virtualBytes, true, [made.id]],
    );
    assert.deepEqual(await removeSpareGolden(lab.uri, { digests }), []);
    await provider.delete(made.id, made.outs);
    const found = await removeSpareGolden(lab.uri, { digests, dryRun: true });
    assert.deepEqual(
      found.map(({ id }) => id),
      [name],
    );
    assert.ok(lab.group.volumes().includes(golden(other)));
    await removeSpareGolden(lab.uri, { digests });
    assert.ok(!lab.group.volumes().includes(golden(other)));
    const again = await lab.create(lab.args(other));
    guest.assertContent(lab.device(again), other);
    await provider.delete(again.id, again.outs);
    await removeSpareGolden(lab.uri, { digests });
  });

  it("is refused where there is no such pool, or one that hands out what others left", async () => {
    await rejects(lab.check(lab.args(image, { thinPool: "none" })), "thin-pool-missing", /"none"/);
    guest.bash(`lvchange -q -y --zero n ${lab.group.name}/pool`);
    await rejects(lab.check(lab.args(image)), "thin-pool-unfit", /left in them/);
    guest.bash(`lvchange -q -y --zero y ${lab.group.name}/pool`);
  });
});

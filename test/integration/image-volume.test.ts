import { execFileSync, spawn } from "node:child_process";
import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Properties } from "../../providers/handler.ts";
import type { PlanSummary } from "../../providers/image-volume/core/summary.ts";
import { forgetObservation, observeHost } from "../../providers/image-volume/effects/hosts.ts";
import * as provider from "../../providers/image-volume/provider.ts";
import {
  fillWith0xAA,
  type ImageVolumeLab,
  type Made,
  rejects,
  type TestImage,
} from "../support/image-volume-lab.ts";
import { useImageVolumeLab } from "../support/image-volume-suite.ts";
import { endTree, tied } from "../support/scratch.ts";

describe("an image volume on this machine", function () {
  this.timeout(120_000);
  let lab: ImageVolumeLab;
  let image: TestImage;
  let zeroingFails: string;

  useImageVolumeLab({ sizeMiB: 2048 }, async (made) => {
    lab = made;
    zeroingFails = path.join(lab.group.folder, "zeroing-fails");
    for (const program of ["fallocate", "blkdiscard"])
      lab.interpose(program, `[ ! -e '${zeroingFails}' ] || exit 1`);
    image = await lab.image();
  });

  const remove = async (
    ...made: { id: string; outs: Record<string, unknown> }[]
  ): Promise<void> => {
    for (const { id, outs } of made) await provider.delete(id, outs);
  };

  /** A process that holds the file open, named by its arguments if any. */
  const holdOpen = async (file: string): Promise<() => void> => {
    const [command, args] = tied("sleep", ["300"]);
    const fd = fs.openSync(file, "r+");
    const child = spawn(command, args, { stdio: ["ignore", "ignore", "ignore", fd] });
    fs.closeSync(fd);
    await new Promise((resolve) => child.once("spawn", resolve));
    return () => {
      endTree(child.pid);
    };
  };

  it("shows in preview what it will do, and does exactly that", async () => {
    const inputs = await lab.check(lab.args(image));
    assert.deepEqual(inputs["plan"], {
      cache: "miss",
      digest: image.digest,
      digestSource: "sidecar",
      bytesToFetch: image.bytes,
      bytesToWrite: 128 * 2 ** 20,
      steps: ["fetchImage", "createVolume", "populateVolume", "zeroTail", "markPopulated"],
    });
    const made = { ...(await provider.create(inputs)), inputs };
    lab.assertContent(lab.device(made), image);
    assert.deepEqual(lab.group.tags(made.id.split("/")[1] ?? ""), [
      `groundwork.digest=sha256:${image.digest}`,
      "groundwork.owner=groundwork/test",
      "groundwork.state=populated",
      "groundwork.writes=1",
    ]);
    assert.equal(made.outs["digest"], image.digest);
    assert.equal(made.outs["devicePath"], lab.device(made));
    assert.equal(made.outs["sizeBytes"], 128 * 2 ** 20);
    await remove(made);
  });

  it("keeps cache and entries from other users", () => {
    const { entries } = lab.cacheFiles();
    assert.equal(entries.length, 1);
    assert.equal(fs.statSync(lab.cache).mode & 0o7777, 0o750);
    assert.equal(fs.statSync(`${lab.cache}/${entries[0] ?? ""}`).mode & 0o7777, 0o640);
  });

  it("#38 writes nothing on the second up, and fetches nothing for a second volume", async () => {
    const args = lab.args(image);
    const made = await lab.create(args);
    const { bytesToFetch, cache } = made.inputs["plan"] as Record<string, unknown>;
    assert.deepEqual({ bytesToFetch, cache }, { bytesToFetch: 0, cache: "hit" });
    const before = lab.snapshot();
    assert.equal((await lab.update(made, args)).changed, false);
    assert.equal(lab.snapshot(), before);
    await remove(made);
  });

  it("asks host and store once for a hundred volumes", async () => {
    const other = await lab.image();
    forgetObservation(lab.uri);
    lab.front.seen.length = 0;
    const look = observeHost(lab.uri);
    const many = Array.from({ length: 100 }, () => lab.args(other));
    const checked = await Promise.all(many.map((args) => provider.check({}, args)));
    assert.equal(observeHost(lab.uri), look, "the host was asked again");
    assert.ok(checked.every(({ inputs }) => (inputs["plan"] as PlanSummary).cache === "miss"));
    assert.equal(lab.front.seen.length, 3, "checksum, description and header");
  });

  it("#37 changes nothing in preview", async () => {
    const before = lab.snapshot();
    await lab.check(lab.args(image));
    assert.equal(lab.snapshot(), before);
  });

  it("makes a blank volume of zeroes, also where another volume has been", async () => {
    const { group } = lab;
    group.bash(group.commands.create(group.name, "former", 128 * 2 ** 20));
    fillWith0xAA(`/dev/${group.name}/former`);
    const place = placeOf(lab, "former");
    group.bash(group.commands.remove(group.name, "former"));
    const made = await lab.create(lab.args(undefined));
    assert.equal(placeOf(lab, made.id.split("/")[1] ?? ""), place, "the space was not used again");
    lab.assertZeroes(lab.device(made));
    assert.deepEqual(made.inputs["plan"], {
      cache: "none",
      digestSource: "none",
      bytesToFetch: 0,
      bytesToWrite: 128 * 2 ** 20,
      steps: ["createVolume", "zeroVolume", "markPopulated"],
    });
    await remove(made);
  });

  it("#25 leaves no byte of a former owner in holes or behind the image", async () => {
    const { group } = lab;
    group.bash(group.commands.create(group.name, "former", 128 * 2 ** 20));
    fillWith0xAA(`/dev/${group.name}/former`);
    const place = placeOf(lab, "former");
    group.bash(group.commands.remove(group.name, "former"));
    const made = await lab.create(lab.args(image));
    assert.equal(placeOf(lab, made.id.split("/")[1] ?? ""), place, "the space was not used again");
    lab.assertContent(lab.device(made), image);
    await remove(made);
  });

  it("leaves nothing to read of a volume that it removes", async () => {
    const made = await lab.create(lab.args(image));
    await remove(made);
    const { group } = lab;
    group.bash(group.commands.create(group.name, "next", 128 * 2 ** 20));
    lab.assertZeroes(`/dev/${group.name}/next`);
    group.bash(group.commands.remove(group.name, "next"));
  });

  for (const [wipe, remains] of [
    ["discard", false],
    ["none", true],
  ] as const)
    it(`${remains ? "leaves" : "gives back"} the content of a volume with wipe: ${wipe}`, async () => {
      const args = lab.args(image);
      const made = await lab.create(args);
      const place = placeOf(lab, made.id.split("/")[1] ?? "");
      // What counts is the state, so a change of `wipe` alone must get there.
      const changed = await lab.update(made, { ...args, wipe });
      assert.equal(changed.changed, true);
      lab.assertContent(lab.device(changed), image);
      await remove(changed);
      const { group } = lab;
      group.bash(group.commands.create(group.name, "next", 128 * 2 ** 20));
      assert.equal(placeOf(lab, "next"), place, "the space was not used again");
      if (remains) lab.assertContent(`/dev/${group.name}/next`, image);
      else lab.assertZeroes(`/dev/${group.name}/next`);
      group.bash(group.commands.remove(group.name, "next"));
    });

  it("#24 refuses in preview a cached image that is larger than the volume", async () => {
    const image = await lab.image({ virtualMiB: 64 });
    await lab.create(lab.args(image));
    const small = lab.args(image, { sizeGiB: 32 / 1024 });
    await rejects(
      lab.check(small),
      "image-larger-than-volume",
      /needs 64 MiB and the volume has 32 MiB/,
    );
  });

  it("#24 takes an image exactly as large as the volume", async () => {
    const full = await lab.image({ virtualMiB: 128 });
    const made = await lab.create(lab.args(full));
    lab.assertContent(lab.device(made), full);
    await remove(made);
  });

  it("#27 grows in place and keeps the content", async () => {
    const args = lab.args(image);
    const made = await lab.create(args);
    const close = await holdOpen(lab.device(made));
    const grown = await lab.update(made, { ...args, sizeGiB: 0.25 });
    close();
    assert.equal(grown.changed, true);
    assert.equal(grown.outs["sizeBytes"], 256 * 2 ** 20);
    assert.equal(grown.outs["volumeUuid"], made.outs["volumeUuid"]);
    lab.assertContent(lab.device(made), image);
    await rejects(
      lab.update(grown, args),
      "volume-shrink-refused",
      /256 MiB and would shrink to 128 MiB/,
    );
    await remove(grown);
  });

  /** Begins a growth from 128 to 256 MiB that breaks off before the new piece is zeroed. */
  async function breakOffGrowth(args: Properties, made: Made): Promise<void> {
    fs.writeFileSync(zeroingFails, "");
    await assert.rejects(lab.update(made, { ...args, sizeGiB: 0.25 }));
    fs.rmSync(zeroingFails);
    lab.group.bash(
      `head -c 128M /dev/zero | tr '\\0' '\\252' | dd of=/dev/${made.id} bs=1M seek=128 iflag=fullblock conv=notrunc status=none`,
    );
  }
  const isGrowing = (made: Made): boolean =>
    lab.group.tags(made.id.split("/")[1] ?? "").some((tag) => tag.includes("growing"));

  it("goes on with a growth that broke off, and zeroes the new piece where nobody came to see it", async () => {
    const args = lab.args(image);
    const made = await lab.create(args);
    const close = await holdOpen(lab.device(made));
    await breakOffGrowth(args, made);
    assert.equal(isGrowing(made), true);
    const grown = await lab.update(made, { ...args, sizeGiB: 0.25 });
    close();
    lab.assertContent(lab.device(grown), image);
    assert.equal(isGrowing(made), false);
    await remove(grown);
  });

  it("leaves the new piece as it is where a machine may have written to it since the growth broke off", async () => {
    const args = lab.args(image);
    const made = await lab.create(args);
    const before = await holdOpen(lab.device(made));
    await breakOffGrowth(args, made);
    before();
    const after = await holdOpen(lab.device(made));
    const grown = await lab.update(made, { ...args, sizeGiB: 0.25 });
    after();
    const tail = "tail -c 128M \"$0\" | tr -d '\\252' | wc -c";
    const others = execFileSync("bash", ["-c", tail, lab.device(grown)], { encoding: "utf8" });
    assert.equal(Number(others), 0);
    assert.equal(isGrowing(made), false);
    await remove(grown);
  });

  it("takes the mark of a growth away that is wished no more", async () => {
    const args = lab.args(image);
    const made = await lab.create(args);
    const tag = `groundwork.growing=${String(128 * 2 ** 20)}`;
    lab.group.bash(lab.group.commands.lvm("lvchange", "--addtag", tag, made.id));
    forgetObservation(lab.uri);
    await lab.update(made, args);
    assert.equal(isGrowing(made), false);
    lab.assertContent(lab.device(made), image);
    await remove(made);
  });

  it("#26 writes an image with another digest onto the same volume, but not while it is open", async () => {
    const args = lab.args(image);
    const made = await lab.create(args);
    const next = await lab.image();
    const changed = { ...args, image: { ...(args["image"] as object), key: next.key } };
    const close = await holdOpen(lab.device(made));
    const preview = await lab.check(changed, made.inputs);
    assert.match(
      String((preview["plan"] as { obstacle?: string }).obstacle),
      /\(sleep\) has it open/,
    );
    await rejects(lab.update(made, changed), "volume-in-use", /process \d+ \(sleep\)/);
    lab.assertContent(lab.device(made), image);
    close();
    const populated = await lab.update(made, changed);
    assert.equal(populated.outs["volumeUuid"], made.outs["volumeUuid"]);
    assert.equal(populated.outs["digest"], next.digest);
    lab.assertContent(lab.device(made), next);
    await remove(populated);
  });

  it("#39 succeeds in removing what is gone already", async () => {
    const made = await lab.create(lab.args(image));
    await remove(made);
    await remove(made);
  });

  it("retags its volume when the stack is renamed", async () => {
    const args = lab.args(image);
    const made = await lab.create(args);
    const renamed = await lab.update(made, { ...args, owner: "groundwork/renamed" });
    assert.ok(
      lab.group.tags(made.id.split("/")[1] ?? "").includes("groundwork.owner=groundwork/renamed"),
    );
    lab.assertContent(lab.device(made), image);
    await remove(renamed);
  });

  it("#35 reports drift: a volume removed, resized, or with other content", async () => {
    const args = lab.args(image);
    const made = await lab.create(args);
    const name = made.id.split("/")[1] ?? "";
    const { group } = lab;
    const read = (): ReturnType<typeof provider.read> => {
      forgetObservation(String(args["hypervisorUri"]));
      return provider.read(made.id, made.outs);
    };
    const same = await read();
    assert.deepEqual(same.props, made.outs);

    group.bash(group.commands.lvm("lvchange", "--deltag", "groundwork.state=populated", made.id));
    assert.equal((await read()).props?.["digest"], undefined);
    group.bash(group.commands.lvm("lvchange", "--addtag", "groundwork.state=populated", made.id));

    group.bash(group.commands.extend(group.name, name, 192 * 2 ** 20));
    assert.equal((await read()).inputs?.["sizeGiB"], 0.1875);

    for (const file of lab.cacheFiles().entries) fs.rmSync(`${lab.cache}/${file}`);
    assert.equal(((await read()).props?.["plan"] as { cache: string }).cache, "miss");

    group.bash(group.commands.remove(group.name, name));
    assert.deepEqual(await read(), {});
    const preview = await lab.check(args);
    const { cache, bytesToFetch } = preview["plan"] as Record<string, unknown>;
    assert.deepEqual({ cache, bytesToFetch }, { cache: "miss", bytesToFetch: image.bytes });
  });
});

function placeOf(lab: ImageVolumeLab, volume: string): string {
  const { commands, name } = lab.group;
  return lab.group
    .bash(commands.lvm("lvs", "--noheadings", "-o", "seg_pe_ranges", `${name}/${volume}`))
    .trim();
}

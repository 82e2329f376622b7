import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as provider from "../../providers/image-volume/provider.ts";
import type { MachineVolumes } from "../../providers/volume-snapshot/core/snapshots.ts";
import {
  createSnapshot,
  deleteSnapshot,
  readSnapshots,
  revertSnapshot,
} from "../../providers/volume-snapshot/effects/snapshots.ts";
import { startHypervisor, type TestHypervisor } from "../support/hypervisor.ts";
import { ImageVolumeLab, type Made, rejects, type TestImage } from "../support/image-volume-lab.ts";
import { requireNeeds } from "../support/needs.ts";
import { renderTinyDomain, uploadTinyGuest } from "../support/tiny-guest.ts";

describe("snapshots of a machine", function () {
  this.timeout(120_000);
  let lab: ImageVolumeLab;
  let hypervisor: TestHypervisor;
  let obeys: TestImage;
  /** While it holds a number, the call of lvrename or lvchange of that number fails. */
  let failing = "";
  const undo: (() => Promise<void> | void)[] = [];
  const domain = "vm1";

  before(async function () {
    requireNeeds(this, [...startHypervisor.needs, "curl"]);
    hypervisor = await startHypervisor();
    undo.push(() => hypervisor.stop());
    lab = await ImageVolumeLab.make({ sizeMiB: 1024 });
    undo.push(() => lab.remove());
    lab.uri = hypervisor.uri;
    failing = path.join(lab.group.folder, "failing");
    for (const tool of ["lvrename", "lvchange"])
      lab.interpose(
        tool,
        `if [ -e ${failing} ]; then left=$(($(cat ${failing}) - 1)); echo $left >${failing}
          [ $left -gt 0 ] || { rm ${failing}; echo "${tool} fails on purpose" >&2; exit 1; }
        fi`,
      );
    obeys = await uploadTinyGuest(lab, "obeys.qcow2", "obeys");
  });

  after(async () => {
    for (const each of undo.reverse()) await each();
  });

  let root: Made;
  let data: Made;
  let machine: MachineVolumes;
  const group = (): string => lab.group.name;
  const owner = "groundwork/test";
  const offset = 100_000_000;

  beforeEach(async () => {
    root = await lab.create(lab.args(obeys, { volumeName: "vm1-root" }));
    data = await lab.create(lab.args(undefined, { volumeName: "vm1-data" }));
    machine = {
      ...{ machine: "vm1", owner },
      volumes: ["vm1-root", "vm1-data"].map((volumeName) => ({
        ...{ volumeGroup: group(), volumeName, wipe: "none" as const },
      })),
    };
    const xml = renderTinyDomain(domain, lab.device(root)).replace(
      "</disk>",
      `</disk><disk type="block" device="disk"><driver name="qemu" type="raw"/>
        <source dev="${lab.device(data)}"/><target dev="vdb" bus="virtio"/></disk>`,
    );
    await hypervisor.virsh("define", hypervisor.write("vm1.xml", xml));
  });

  afterEach(async () => {
    fs.rmSync(failing, { force: true });
    await hypervisor.virsh("destroy", domain).catch(() => undefined);
    await hypervisor.virsh("undefine", domain);
    lab.reset();
  });

  const state = async (): Promise<string> => (await hypervisor.virsh("domstate", domain)).trim();
  const start = async (): Promise<void> => {
    await hypervisor.virsh("start", domain);
    await sleep(2000); // SeaBIOS
  };
  const write = (made: Made, text: string): void => {
    lab.group.bash(
      `printf ${text} | dd of=${lab.device(made)} bs=1 seek=${String(offset)} conv=notrunc,fsync status=none`,
    );
  };
  const read = (device: string): string =>
    execFileSync(
      "dd",
      [`if=${device}`, "bs=1", `skip=${String(offset)}`, "count=5", "status=none"],
      {
        encoding: "latin1",
      },
    );
  const contents = (): string[] => [root, data].map((made) => read(lab.device(made)));
  const take = (name: string, more: object = {}) =>
    createSnapshot(lab.uri, machine, {
      ...{ name, description: "", hold: "pause", nowSeconds: Math.floor(Date.now() / 1000) },
      ...more,
    });
  const back = (name: string, stop = false) =>
    revertSnapshot(lab.uri, machine, { name, stop }, { shutdownTimeoutSeconds: 60 });
  const ownTags = (): string[] => lab.group.volumes().flatMap((volume) => lab.group.tags(volume));

  it("takes one of a machine that is off, lists it, and brings it back", async () => {
    write(root, "first");
    write(data, "disk1");
    const taken = await take("before", { description: "Before: 100 % «risky», #1" });
    assert.deepEqual(
      [taken.consistency, taken.whole, taken.sizeBytes, taken.description],
      ["off", true, 2 * 128 * 2 ** 20, "Before: 100 % «risky», #1"],
    );
    write(root, "later");
    write(data, "disk2");
    await back("before");
    assert.deepEqual(contents(), ["first", "disk1"]);
    assert.equal(await state(), "shut off");
    for (const made of [root, data])
      execFileSync("cmp", [lab.device(made), `${lab.device(made)}.snap-before`]);
  });

  it("pauses a running machine without an agent only while it is copied", async () => {
    await start();
    const id = await hypervisor.virsh("domid", domain);
    const taken = await take("before");
    assert.deepEqual([taken.consistency, await state()], ["paused", "running"]);
    assert.equal(await hypervisor.virsh("domid", domain), id);
    assert.ok(!ownTags().some((tag) => tag.includes("held")));
    execFileSync("cmp", [lab.device(root), `${lab.device(root)}.snap-before`]);
  });

  it("shuts a machine down that is to be off for it, and starts it again", async () => {
    await start();
    const taken = await take("before", { hold: "stop" });
    assert.deepEqual([taken.consistency, await state()], ["off", "running"]);
    assert.ok(!ownTags().some((tag) => tag.includes("stopped")));
  });

  it("refuses to copy what a machine is writing", async () => {
    await start();
    await rejects(take("live", { hold: "live" }), "snapshot-live-refused", /is running/);
    assert.equal((await readSnapshots(lab.uri, owner)).length, 0);
  });

  it("leaves a running machine alone without --stop, and stops and starts it with it", async () => {
    write(root, "first");
    await take("before");
    write(root, "later");
    await start();
    await rejects(back("before"), "machine-in-use", /"vm1".*give --stop/);
    assert.deepEqual([contents()[0], await state()], ["later", "running"]);
    await back("before", true);
    assert.deepEqual([contents()[0], await state()], ["first", "running"]);
    assert.deepEqual(lab.group.volumes().sort(), [
      ...["vm1-data", "vm1-data.snap-before", "vm1-root", "vm1-root.snap-before"],
    ]);
    assert.ok(!ownTags().some((tag) => /stopped|reverting|role=(next|aside)/.test(tag)));
  });

  it("changes nothing that the provider would see", async () => {
    await take("before");
    const args = { ...root.inputs };
    await back("before");
    assert.equal(
      (await lab.update(root, lab.args(obeys, { volumeName: "vm1-root" }))).changed,
      false,
    );
    assert.equal(args["contentId"], (await provider.read(root.id, root.outs)).props?.["contentId"]);
  });

  let refused = 0;
  for (const at of [6, 12])
    it(`comes to the same end when call ${String(at)} of LVM fails, and up waits for that`, async () => {
      write(root, "first");
      write(data, "disk1");
      await take("before");
      write(root, "later");
      write(data, "disk2");
      await hypervisor.virsh("start", domain);
      fs.writeFileSync(failing, String(at));
      const options = { shutdownTimeoutSeconds: 1 };
      const wish = { name: "before", stop: true };
      await assert.rejects(revertSnapshot(lab.uri, machine, wish, options), /on purpose/);
      const isThere = lab.group.volumes().includes("vm1-root");
      if (!isThere || lab.group.tags("vm1-root").some((tag) => tag.includes("reverting"))) {
        refused += 1;
        const args = lab.args(obeys, { volumeName: "vm1-root" });
        await rejects(lab.check(args), "volume-reverting", /revert <machine> before/);
      }
      await revertSnapshot(lab.uri, machine, wish, options);
      assert.deepEqual(contents(), ["first", "disk1"]);
      assert.equal(await state(), "running");
      assert.equal(lab.group.volumes().length, 4);
      assert.ok(!ownTags().some((tag) => /stopped|reverting|role=(next|aside)/.test(tag)));
    });

  it("has had up refused while that was under way", () => {
    assert.equal(refused, 2);
  });

  it("lets a machine go on that a killed run left at rest, and makes its snapshot anew", async () => {
    await start();
    const uuid = (await hypervisor.virsh("domuuid", domain)).trim();
    await hypervisor.virsh("suspend", domain);
    const { commands } = lab.group;
    lab.group.bash(commands.lvm("lvchange", "--addtag", `groundwork.held=paused:${uuid}`, root.id));
    lab.group.bash(
      commands.create(group(), "vm1-root.snap-before", 128 * 2 ** 20, [
        ...["groundwork.owner=groundwork/test", "groundwork.role=snapshot"],
        ...["groundwork.snapshot=before", "groundwork.machine=vm1", "groundwork.origin=vm1-root"],
        ...["groundwork.taken=1700000000", "groundwork.parts=2"],
      ]),
    );
    assert.deepEqual(
      (await readSnapshots(lab.uri, owner)).map(({ name, whole }) => [name, whole]),
      [["before", false]],
    );
    await rejects(back("before", true), "snapshot-incomplete", /not whole/);
    assert.equal(await state(), "running");
    const taken = await take("before");
    assert.deepEqual([taken.whole, await state()], [true, "running"]);
    assert.ok(!ownTags().some((tag) => tag.includes("held")));
  });

  it("deletes its own volumes and nothing of the same name that is somebody else's", async () => {
    await take("before");
    lab.group.bash(lab.group.commands.create(group(), "vm1-root.snap-other", 4 * 2 ** 20, []));
    await rejects(take("other"), "volume-not-ours", /snap-other/);
    await rejects(deleteSnapshot(lab.uri, machine, "other"), "snapshot-missing", /one of: before/);
    await deleteSnapshot(lab.uri, machine, "before");
    assert.deepEqual(lab.group.volumes().sort(), ["vm1-data", "vm1-root", "vm1-root.snap-other"]);
  });

  it("goes with the volume that it is of", async () => {
    await take("before");
    await provider.delete(root.id, root.outs);
    assert.deepEqual(lab.group.volumes().sort(), ["vm1-data", "vm1-data.snap-before"]);
    await provider.delete(data.id, data.outs);
    assert.deepEqual(lab.group.volumes(), []);
    await lab.create(lab.args(obeys, { volumeName: "vm1-root" }));
    await lab.create(lab.args(undefined, { volumeName: "vm1-data" }));
  });

  it("says how much room is missing before it does anything", async () => {
    await take("one");
    await take("two");
    await rejects(take("three"), "volume-group-full", /needs 256 MiB/);
    assert.equal((await readSnapshots(lab.uri, owner)).length, 2);
  });
});

import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as provider from "../../providers/image-volume/provider.ts";
import { forgetObservation } from "../../providers/image-volume/effects/hosts.ts";
import { readPower } from "../../providers/machine-ready/effects/power.ts";
import { startHypervisor, type TestHypervisor } from "../support/hypervisor.ts";
import { ImageVolumeLab, type Made, rejects, type TestImage } from "../support/image-volume-lab.ts";
import { requireNeeds } from "../support/needs.ts";
import { renderTinyDomain, uploadTinyGuest } from "../support/tiny-guest.ts";
import { until } from "../support/until.ts";

describe("writing an image anew below a domain", function () {
  this.timeout(180_000);
  let lab: ImageVolumeLab;
  let hypervisor: TestHypervisor;
  let obeys: TestImage;
  let ignores: TestImage;
  let hold = "";
  let renames = "";
  const undo: (() => Promise<void> | void)[] = [];

  before(async function () {
    requireNeeds(this, [...startHypervisor.needs, "curl"]);
    hypervisor = await startHypervisor();
    undo.push(() => hypervisor.stop());
    lab = await ImageVolumeLab.make({ sizeMiB: 1024 });
    undo.push(() => {
      lab.remove();
    });
    lab.uri = hypervisor.uri;
    // While the file "hold" is there, what writes an image waits; of the renames, the one of that number fails.
    hold = path.join(lab.group.folder, "hold");
    renames = path.join(lab.group.folder, "renames");
    lab.interposeDecoder(`while [ -e ${hold} ]; do touch ${hold}.seen; sleep 0.05; done`);
    lab.interpose(
      "lvrename",
      `if [ -e ${renames} ]; then left=$(($(cat ${renames}) - 1)); echo $left >${renames}
        [ $left -gt 0 ] || { rm ${renames}; echo "lvrename fails on purpose" >&2; exit 1; }
      fi`,
    );
    obeys = await uploadTinyGuest(lab, "obeys.qcow2", "obeys");
    ignores = await uploadTinyGuest(lab, "ignores.qcow2", "ignores");
  });

  after(async () => {
    for (const each of undo.reverse()) await each();
  });

  let domain = "";
  let count = 0;
  const state = async (): Promise<string> => (await hypervisor.virsh("domstate", domain)).trim();
  /** A volume with the image and a running domain that boots from it. */
  const boot = async (image: TestImage, more: object = {}): Promise<Made & { args: object }> => {
    const args = lab.args(image, { ...more });
    const made = await lab.create(args);
    domain = `tiny${String((count += 1))}`;
    const xml = renderTinyDomain(domain, lab.device(made));
    await hypervisor.virsh("define", hypervisor.write(`${domain}.xml`, xml));
    await hypervisor.virsh("start", domain);
    await sleep(2000); // SeaBIOS
    return { ...made, args };
  };

  afterEach(async () => {
    for (const file of [hold, `${hold}.seen`, renames]) fs.rmSync(file, { force: true });
    if (domain === "") return;
    await hypervisor.virsh("destroy", domain).catch(() => undefined);
    await hypervisor.virsh("undefine", domain).catch(() => undefined); // a transient one is gone
    domain = "";
    lab.removeVolumes();
  });

  const tags = (made: Made): string[] => lab.group.tags(made.id.split("/")[1] ?? "");

  it("is refused without allowStop, and says what to set", async () => {
    const made = await boot(obeys);
    const args = { ...made.args, generation: 1 };
    const preview = await lab.check(args, made.inputs);
    const plan = preview["plan"] as { obstacle?: string };
    assert.match(plan.obstacle ?? "", new RegExp(`domain "${domain}" has it open`));
    await rejects(lab.update(made, args), "volume-in-use", /set allowStop to true/);
    assert.equal(await state(), "running");
    lab.assertContent(lab.device(made), obeys);
  });

  it("shuts a domain down that obeys, for another generation, and starts it again", async () => {
    const made = await boot(obeys);
    const args = { ...made.args, generation: 1, allowStop: true };
    lab.group.bash(`printf changed | dd of=${lab.device(made)} bs=1 seek=4096 conv=notrunc,fsync`);
    const before = await hypervisor.virsh("domid", domain);
    const preview = await lab.check(args, made.inputs);
    assert.deepEqual((preview["plan"] as { steps: string[] }).steps, [
      ...["stopDomains", "unmarkVolume", "populateVolume", "zeroTail", "markPopulated"],
      "startDomains",
    ]);
    const began = Date.now();
    const anew = await lab.update(made, args);
    assert.ok(Date.now() - began < 60_000, "it was switched off, not shut down");
    assert.equal(await state(), "running");
    assert.notEqual(await hypervisor.virsh("domid", domain), before);
    assert.equal(anew.outs["volumeUuid"], made.outs["volumeUuid"]);
    assert.equal(anew.outs["contentId"], preview["contentId"]);
    assert.notEqual(anew.outs["contentId"], made.outs["contentId"]);
    assert.ok(tags(anew).includes("groundwork.generation=1"));
    assert.ok(!tags(anew).some((tag) => tag.includes("stopped")));
    lab.assertContent(lab.device(anew), obeys);
    assert.equal((await lab.update(anew, args)).changed, false);
    assert.deepEqual((await provider.read(anew.id, anew.outs)).props, anew.outs);
  });

  it("switches a domain off that does not shut down in time", async () => {
    const made = await boot(ignores);
    const args = { ...made.args, generation: 7, allowStop: true, shutdownTimeoutSeconds: 4 };
    const began = Date.now();
    const anew = await lab.update(made, args);
    assert.ok(Date.now() - began >= 4000, "it was not given its time");
    assert.equal(await state(), "running");
    lab.assertContent(lab.device(anew), ignores);
  });

  it("writes another image below a paused domain, and leaves it off where it is made anew", async () => {
    const made = await boot(obeys);
    await hypervisor.virsh("suspend", domain);
    const image = { ...(made.inputs["image"] as object), key: ignores.key };
    const anew = await lab.update(made, {
      ...{ ...made.args, image, allowStop: true, startAgain: false },
    });
    assert.equal(await state(), "shut off");
    assert.ok(!tags(anew).some((tag) => tag.includes("stopped")));
    lab.assertContent(lab.device(anew), ignores);
  });

  it("starts what an interrupted run had stopped, once the content is there", async () => {
    const made = await boot(obeys);
    const uuid = (await hypervisor.virsh("domuuid", domain)).trim();
    await hypervisor.virsh("destroy", domain);
    assert.equal(await readPower(lab.uri, uuid), "off");
    const { group } = lab;
    const words = [
      "--addtag",
      `groundwork.stopped=${uuid}`,
      "--deltag",
      "groundwork.state=populated",
    ];
    group.bash(group.commands.lvm("lvchange", ...words, made.id));
    forgetObservation(lab.uri);
    assert.equal(await readPower(lab.uri, uuid, { fresh: true }), "other");
    const anew = await lab.update(made, { ...made.args, generation: 1, allowStop: true });
    assert.equal(await state(), "running");
    assert.ok(!tags(anew).some((tag) => tag.includes("stopped")));
    lab.assertContent(lab.device(anew), obeys);
  });

  it("leaves a transient domain alone, which it could not start again", async () => {
    const made = await boot(obeys);
    await hypervisor.virsh("undefine", domain);
    const args = { ...made.args, generation: 1, allowStop: true };
    await rejects(lab.update(made, args), "volume-in-use", /transient/);
    assert.equal(await state(), "running");
  });

  const stepsOf = async (made: Made, args: object): Promise<unknown> =>
    ((await lab.check(args as never, made.inputs))["plan"] as { steps?: string[] }).steps;
  const nameOf = (made: Made): string => made.id.split("/")[1] ?? "";
  /** Something of the machine's own, behind the image. */
  const mark = (made: Made, text: string): void => {
    lab.group.bash(
      `printf ${text} | dd of=${lab.device(made)} bs=1 seek=100000000 conv=notrunc,fsync status=none`,
    );
  };
  const markOf = (device: string): string =>
    execFileSync("dd", [`if=${device}`, "bs=1", "skip=100000000", "count=5", "status=none"], {
      encoding: "latin1",
    });

  it("writes beside the volume with strategy replace, and stops the domain only to switch", async () => {
    const made = await boot(obeys);
    mark(made, "first");
    const args = { ...made.args, generation: 1, allowStop: true, strategy: "replace" };
    assert.deepEqual(await stepsOf(made, args), [
      ...["createVolume", "populateVolume", "zeroTail", "markPopulated"],
      ...["stopDomains", "switchVolume", "startDomains", "removeCompanion"],
    ]);
    let whileWriting = "";
    fs.writeFileSync(hold, "");
    const updating = lab.update(made, args);
    await until(() => fs.existsSync(`${hold}.seen`));
    whileWriting = await state();
    fs.rmSync(hold);
    const anew = await updating;
    assert.equal(whileWriting, "running");
    assert.equal(await state(), "running");
    assert.deepEqual(lab.group.volumes(), [nameOf(made)]);
    assert.notEqual(anew.outs["contentId"], made.outs["contentId"]);
    assert.ok(!tags(anew).some((tag) => /stopped|role/.test(tag)));
    lab.assertContent(lab.device(anew), obeys);
    assert.equal((await lab.update(anew, args)).changed, false);
    assert.deepEqual((await provider.read(anew.id, anew.outs)).props, anew.outs);
  });

  it("keeps the previous content, and brings it back when it is asked for again", async () => {
    const made = await boot(obeys);
    mark(made, "first");
    const common = { ...made.args, allowStop: true, keepPrevious: true };
    const anew = await lab.update(made, { ...common, generation: 1 });
    assert.deepEqual(lab.group.volumes().sort(), [nameOf(made), `${nameOf(made)}.previous`]);
    lab.assertContent(lab.device(anew), obeys);
    await hypervisor.virsh("destroy", domain);
    mark(anew, "newer");
    await hypervisor.virsh("start", domain);

    const back = { ...common, generation: 0 };
    assert.deepEqual(await stepsOf(anew, back), ["stopDomains", "restorePrevious", "startDomains"]);
    const restored = await lab.update(anew, back);
    assert.equal(markOf(lab.device(restored)), "first");
    assert.equal(markOf(`${lab.device(restored)}.previous`), "newer");
    assert.equal(restored.outs["contentId"], made.outs["contentId"]);
    assert.equal(await state(), "running");

    const { changed } = await lab.update(restored, { ...back, keepPrevious: false });
    assert.deepEqual([changed, lab.group.volumes()], [true, [nameOf(made)]]);
  });

  it("goes on after a failure between two renames, and starts the domain in the end", async () => {
    const made = await boot(obeys);
    const common = { ...made.args, allowStop: true, keepPrevious: true };
    let [now, generation]: [Made, number] = [made, 0];
    for (const failing of [1, 2]) {
      fs.writeFileSync(renames, String(failing));
      generation += 1;
      await assert.rejects(lab.update(now, { ...common, generation }), /lvrename|rename/);
      assert.equal(await state(), "shut off");
      now = await lab.update(now, { ...common, generation });
      assert.equal(await state(), "running");
      lab.assertContent(lab.device(now), obeys);
      assert.deepEqual(lab.group.volumes().sort(), [nameOf(made), `${nameOf(made)}.previous`]);
    }
    for (const failing of [1, 2, 3]) {
      fs.writeFileSync(renames, String(failing));
      generation = generation === 2 ? 1 : 2; // each time back to what is kept
      await assert.rejects(lab.update(now, { ...common, generation }), /lvrename|rename/);
      now = await lab.update(now, { ...common, generation });
      assert.equal(await state(), "running");
      assert.deepEqual(lab.group.volumes().sort(), [nameOf(made), `${nameOf(made)}.previous`]);
      assert.equal((await lab.update(now, { ...common, generation })).changed, false);
    }
    // What is destroyed then goes with all that lies beside it, though it has none of its names.
    fs.writeFileSync(renames, "2");
    await assert.rejects(lab.update(now, { ...common, generation: 9 }), /lvrename|rename/);
    assert.ok(!lab.group.volumes().includes(nameOf(made)));
    await provider.delete(now.id, now.outs);
    assert.deepEqual(lab.group.volumes(), []);
  });

  it("leaves a volume alone that has the companion's name and is somebody else's", async () => {
    const made = await boot(obeys);
    const { group } = lab;
    group.bash(group.commands.create(group.name, `${nameOf(made)}.next`, 4 * 2 ** 20, []));
    const args = { ...made.args, generation: 1, allowStop: true, strategy: "replace" };
    await rejects(
      lab.update(made, args),
      "volume-not-ours",
      /\.next" exists beside it and carries no owner/,
    );
    assert.equal(await state(), "running");
  });
});

import * as assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import * as provider from "../../providers/image-volume/provider.ts";
import { startHypervisor, type TestHypervisor } from "../support/hypervisor.ts";
import { ImageVolumeLab, type Made, rejects, type TestImage } from "../support/image-volume-lab.ts";
import { requireNeeds } from "../support/needs.ts";
import { renderTinyDomain, uploadTinyGuest } from "../support/tiny-guest.ts";

describe("writing an image anew below a domain", function () {
  this.timeout(180_000);
  let lab: ImageVolumeLab;
  let hypervisor: TestHypervisor;
  let obeys: TestImage;
  let ignores: TestImage;
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
    const { group } = lab;
    const words = [
      "--addtag",
      `groundwork.stopped=${uuid}`,
      "--deltag",
      "groundwork.state=populated",
    ];
    group.bash(group.commands.lvm("lvchange", ...words, made.id));
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
});

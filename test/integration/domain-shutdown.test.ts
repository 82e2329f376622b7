import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import * as provider from "../../providers/domain-shutdown/provider.ts";
import { startHypervisor, type TestHypervisor } from "../support/hypervisor.ts";
import { requireNeeds } from "../support/needs.ts";
import { makeTinyDisk, renderTinyDomain, type TinyGuest } from "../support/tiny-guest.ts";

describe("DomainShutdown", function () {
  this.timeout(60_000);
  let hypervisor: TestHypervisor | undefined;

  const virsh = async (...args: string[]): Promise<string> => {
    assert.ok(hypervisor);
    return (await hypervisor.virsh(...args)).trim();
  };
  /** Starts a domain, and makes the resource that goes with it. */
  const boot = async (domain: string, guest: TinyGuest) => {
    assert.ok(hypervisor);
    const disk = hypervisor.write(`${domain}.raw`, makeTinyDisk(guest, domain));
    const xml = renderTinyDomain(domain, disk, "file");
    await virsh("define", hypervisor.write(`${domain}.xml`, xml));
    await virsh("start", domain);
    await sleep(2000); // SeaBIOS
    const uuid = await virsh("domuuid", domain);
    const args = { hypervisorUri: hypervisor.uri, domain, uuid, timeoutSeconds: 30, trigger: "1" };
    const { id, outs } = await provider.create(args);
    assert.equal(await virsh("domstate", domain), "running", "creating it touches no domain");
    return { id, outs, args };
  };

  before(async function () {
    requireNeeds(this, [...startHypervisor.needs]);
    hypervisor = await startHypervisor();
  });
  after(async () => {
    await hypervisor?.stop();
  });

  it("shuts a domain down when its trigger changes, and for nothing else", async () => {
    const { id, outs, args } = await boot("obeys", "obeys");
    const patient = { ...args, timeoutSeconds: 40 };
    assert.equal((await provider.diff(id, outs, patient)).changes, true);
    await provider.update(id, outs, patient);
    assert.equal(await virsh("domstate", "obeys"), "running");
    await provider.update(id, outs, { ...args, trigger: "2" });
    assert.equal(await virsh("domstate", "--reason", "obeys"), "shut off (shutdown)");
  });

  it("needs no domain that runs, nor any at all", async () => {
    const { id, outs, args } = await boot("off", "obeys");
    await virsh("destroy", "off");
    await provider.update(id, outs, { ...args, trigger: "2" });
    assert.equal(await virsh("domstate", "off"), "shut off");
    await virsh("undefine", "off");
    await provider.update(id, outs, { ...args, trigger: "3" });
  });

  it("switches off what does not hear it in time, and what is paused", async () => {
    const { id, outs, args } = await boot("ignores", "ignores");
    const began = Date.now();
    await provider.update(id, outs, { ...args, timeoutSeconds: 2, trigger: "2" });
    assert.ok(Date.now() - began >= 2000, "it was not given its time");
    assert.equal(await virsh("domstate", "--reason", "ignores"), "shut off (destroyed)");
    await virsh("start", "ignores");
    await virsh("suspend", "ignores");
    await provider.update(id, outs, { ...args, trigger: "3" });
    assert.equal(await virsh("domstate", "ignores"), "shut off");
  });
});

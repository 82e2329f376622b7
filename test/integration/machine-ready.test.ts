import { execa } from "execa";
import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import * as provider from "../../providers/machine-ready/provider.ts";
import { GroundworkError } from "../../providers/errors.ts";
import { fingerprint } from "../../providers/machine-ready/core/sighting.ts";
import { ensureSshFiles } from "../../providers/machine-ready/effects/ssh-files.ts";
import {
  waitUntilReady,
  type WaitOptions,
} from "../../providers/machine-ready/effects/wait-until-ready.ts";
import { FakeGuest } from "../support/fake-guest.ts";
import { requireNeeds } from "../support/needs.ts";
import { undoAtExit } from "../support/scratch.ts";
import { startHypervisor, type TestHypervisor } from "../support/hypervisor.ts";
import { startSshd, type TestSshd } from "../support/sshd.ts";

/** Waits for the guest; returns the progress lines and what came of it. */
async function waitFor(
  guest: FakeGuest,
  options: Partial<WaitOptions> = {},
): Promise<{ lines: string[]; error?: GroundworkError; seconds: number }> {
  const lines: string[] = [];
  fs.writeFileSync(guest.file("serial.log"), "\u001b[1mBooting\u001b[0m\r\nlast words\r\n");
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1000;
  const machine = options.machine ?? guest.machine;
  const { configFile } = await ensureSshFiles({
    home: guest.file("a home"),
    stack: "test",
    machines: [machine],
    privateKey: guest.privateKey,
    networkNamespace: options.networkNamespace,
  });
  try {
    await waitUntilReady({
      machine,
      configFile,
      serialLogPath: guest.file("serial.log"),
      timeoutSeconds: 60,
      report: (line) => lines.push(line),
      ...options,
    });
    return { lines, seconds: seconds() };
  } catch (error) {
    assert.ok(error instanceof GroundworkError, String(error));
    return { lines, error, seconds: seconds() };
  }
}

describe("waiting until a machine is ready", function () {
  this.timeout(120_000);
  let guest: FakeGuest;
  let stop = (): void => undefined;

  before(function () {
    requireNeeds(this, ["root", "sshd"]);
  });
  beforeEach(async () => {
    guest = await FakeGuest.make();
    stop = () => guest.remove();
  });
  afterEach(() => stop());

  it("ends when cloud-init is done", async () => {
    await guest.boot();
    guest.says({ status: "done", errors: [] }, { afterSeconds: 1 });
    const { error, lines, seconds } = await waitFor(guest);
    assert.equal(error, undefined);
    assert.match(lines.at(-1) ?? "", /^guest: ready after \d+ s$/);
    assert.ok(seconds < 50, `took ${String(seconds)} s`);
  });

  it("bears refused connections until SSH runs", async () => {
    const booting = sleep(6000).then(() => guest.boot());
    const { error, lines } = await waitFor(guest);
    await booting;
    assert.equal(error, undefined);
    assert.ok(
      lines.some((line) => /^guest: 5 s: its network is up, SSH does not run yet$/.test(line)),
      lines.join("\n"),
    );
  });

  it("accepts a degraded end and tells its warnings", async () => {
    await guest.boot();
    guest.says(
      {
        status: "done",
        extended_status: "degraded done",
        errors: [],
        recoverable_errors: { WARNING: ["could not find the time zone"] },
      },
      { exitCode: 2 },
    );
    const { error, lines } = await waitFor(guest);
    assert.equal(error, undefined);
    assert.equal(lines[0], "guest: warning: cloud-init: WARNING: could not find the time zone");
  });

  it("fails at once with cloud-init's own errors and the end of the serial log", async () => {
    await guest.boot();
    guest.says({ status: "error", errors: ["package nonsense not found"] }, { exitCode: 1 });
    const { error, seconds } = await waitFor(guest);
    assert.equal(error?.code, "cloud-init-failed");
    assert.match(error.message, /package nonsense not found/);
    assert.match(error.message, /^ {4}Booting\n {4}last words$/m);
    assert.ok(seconds < 50);
  });

  it("fails at once when the image has no cloud-init", async () => {
    guest.lacksCloudInit();
    await guest.boot();
    assert.equal((await waitFor(guest)).error?.code, "cloud-init-missing");
  });

  it("gives up after the timeout and says what it saw last", async () => {
    const { error, seconds } = await waitFor(guest, { timeoutSeconds: 2 });
    assert.equal(error?.code, "machine-not-ready");
    assert.match(error.message, /within 2 s; last seen: its network is up, SSH does not run yet/);
    assert.ok(seconds < 50);
  });

  it("ends a session that hangs when the time is over", async () => {
    await guest.boot();
    guest.says({ status: "done" }, { afterSeconds: 600 });
    const { error, seconds } = await waitFor(guest, { timeoutSeconds: 3 });
    assert.equal(error?.code, "machine-not-ready");
    assert.ok(seconds < 50);
  });

  it("bears a wrong host key for a moment, as before cloud-init has put ours in place", async () => {
    await guest.boot({ hostKey: "other_host_key" });
    const rekeyed = sleep(3000).then(async () => {
      guest.halt();
      await guest.boot();
    });
    assert.equal((await waitFor(guest)).error, undefined);
    await rekeyed;
  });

  it("never logs in to a machine with another host key, and says both fingerprints", async () => {
    await guest.boot({ hostKey: "other_host_key" });
    const { error, seconds } = await waitFor(guest, { toleranceSeconds: 3 });
    assert.equal(error?.code, "wrong-host-key");
    const shown = fs.readFileSync(guest.file("other_host_key.pub"), "utf8");
    assert.ok(error.message.includes(fingerprint(shown)), error.message);
    assert.ok(error.message.includes(fingerprint(guest.machine.hostPublicKey)));
    assert.ok(seconds >= 3 && seconds < 50, `took ${String(seconds)} s`);
    assert.doesNotMatch(fs.readFileSync(guest.file("sshd.log"), "utf8"), /Accepted/);
  });

  it("fails when the machine keeps refusing the user's key", async () => {
    guest.forgetsUser();
    await guest.boot();
    const { error } = await waitFor(guest, { toleranceSeconds: 2 });
    assert.equal(error?.code, "ssh-denied");
  });
});

describe("waiting for a machine behind something", function () {
  this.timeout(60_000);
  const namespace = `gw-ready-${String(process.pid)}`;
  let guest: FakeGuest | undefined;
  let removeNamespace: () => void = () => undefined;
  let hypervisor: TestSshd | undefined;

  before(function () {
    requireNeeds(this, ["root", "sshd", "netns", "netcat"]);
    execFileSync("ip", ["netns", "add", namespace]);
    removeNamespace = undoAtExit(() => execFileSync("ip", ["netns", "del", namespace]));
    execFileSync("ip", ["-n", namespace, "link", "set", "lo", "up"]);
    execFileSync("ip", ["-n", namespace, "address", "add", "192.0.2.10/32", "dev", "lo"]);
  });
  afterEach(() => {
    guest?.remove();
    guest = undefined;
    hypervisor?.stop();
    hypervisor = undefined;
  });
  after(() => removeNamespace());

  it("reaches it through the hypervisor's network namespace, and so does the user", async () => {
    const networkNamespace = `/run/netns/${namespace}`;
    guest = await FakeGuest.make({ address: "192.0.2.10", namespace: networkNamespace });
    const booting = sleep(2000).then(() => guest?.boot());
    const { error, lines } = await waitFor(guest, { networkNamespace });
    await booting;
    assert.equal(error, undefined, error?.message);
    assert.match(lines.at(-1) ?? "", /ready/);
    const configFile = guest.file("a home/ssh/test/config");
    const { stdout } = await execa("ssh", ["-F", configFile, "guest", "echo hello"]);
    assert.equal(stdout, "hello");
  });

  it("sees through the namespace that the network is up and SSH does not run", async () => {
    const networkNamespace = `/run/netns/${namespace}`;
    guest = await FakeGuest.make({ address: "192.0.2.10", namespace: networkNamespace });
    const refused = await waitFor(guest, { networkNamespace, timeoutSeconds: 2 });
    assert.match(refused.error?.message ?? "", /last seen: its network is up/);
  });

  it("reaches it through a remote hypervisor with that one's own pinned key", async () => {
    hypervisor = await startSshd();
    guest = await FakeGuest.make();
    await guest.boot();
    const machine = { ...guest.machine, hypervisorUri: hypervisor.uri };
    assert.equal((await waitFor(guest, { machine })).error, undefined);
    await hypervisor.rotateHostKey();
    const refused = await waitFor(guest, { machine, timeoutSeconds: 3 });
    assert.equal(refused.error?.code, "machine-not-ready");
  });
});

describe("waiting for a machine whose domain has ended", function () {
  this.timeout(120_000);
  const name = "gw-ready-ends";
  let hypervisor: TestHypervisor | undefined;
  let guest: FakeGuest | undefined;

  before(async function () {
    requireNeeds(this, [...startHypervisor.needs, "sshd"]);
    hypervisor = await startHypervisor();
    guest = await FakeGuest.make();
    await hypervisor.virsh("create", hypervisor.write("domain.xml", renderIdleDomain(name)));
  });
  after(async () => {
    guest?.remove();
    await hypervisor?.stop();
  });

  it("fails at once instead of after the timeout", async () => {
    assert.ok(guest && hypervisor);
    const machine = { ...guest.machine, name, hypervisorUri: hypervisor.uri };
    const waiting = waitFor(guest, { machine, timeoutSeconds: 60 });
    await sleep(7000); // one look at the domain has passed
    await hypervisor.virsh("destroy", name);
    const { error, lines, seconds } = await waiting;
    assert.equal(error?.code, "machine-stopped");
    assert.match(error.message, /its domain does not exist any more/);
    assert.ok(lines.length >= 1);
    assert.ok(seconds < 50, `took ${String(seconds)} s`);
  });
});

describe("a machine that is off", function () {
  this.timeout(60_000);
  const name = "gw-ready-off";
  let hypervisor: TestHypervisor | undefined;
  let guest: FakeGuest | undefined;
  let args: Record<string, unknown>;

  before(async function () {
    requireNeeds(this, [...startHypervisor.needs, "sshd"]);
    hypervisor = await startHypervisor();
    guest = await FakeGuest.make();
    process.env["GROUNDWORK_HOME"] = guest.file("home");
    await hypervisor.virsh("define", hypervisor.write("domain.xml", renderIdleDomain(name)));
    const { address, user, hostPublicKey } = guest.machine;
    args = {
      ...{ stack: "test", machine: name, hypervisorUri: hypervisor.uri, address, user },
      uuid: (await hypervisor.virsh("domuuid", name)).trim(),
      ...{ privateKey: guest.privateKey, hostPublicKey, timeoutSeconds: 2, triggers: [] },
      serialLogPath: guest.file("serial.log"),
    };
  });
  after(async () => {
    delete process.env["GROUNDWORK_HOME"];
    guest?.remove();
    await hypervisor?.stop();
  });

  const planned = async (olds: object, news: object): Promise<unknown> =>
    (await provider.check({ ...olds }, { ...news })).inputs["start"];

  it("is started by an update, which preview shows, and then waited for", async () => {
    assert.equal(await planned(args, args), true);
    assert.equal(await planned({}, args), undefined, "a new one is started by libvirt's provider");
    assert.equal(await planned({ ...args, triggers: [1] }, args), undefined, "as one made anew");
    const state = { ...args, ready: true };
    assert.ok(hypervisor);
    const { props: seen = {} } = await provider.read("id", state);
    assert.equal((await provider.diff("id", seen, args)).changes, true, "whoever starts it then");
    const waiting = provider.update("id", state, { ...args, start: true });
    await assert.rejects(waiting, { code: "machine-not-ready" }); // there is no port 22 of the guest's
    assert.equal((await hypervisor.virsh("domstate", name)).trim(), "running");
    await sleep(5000); // a look at the host serves that long
    assert.equal(await planned(args, args), undefined);
    assert.deepEqual(await provider.read("id", state), { id: "id", props: state });
  });

  it("fails with what libvirt says when it cannot be started", async () => {
    assert.ok(hypervisor);
    await hypervisor.virsh("destroy", name);
    const disk = `<disk type="file"><source file="/is/not/there"/><target dev="vda"/></disk></devices>`;
    const broken = renderIdleDomain(name, String(args["uuid"])).replace("</devices>", disk);
    await hypervisor.virsh("define", hypervisor.write("broken.xml", broken));
    await assert.rejects(provider.update("id", args, args), {
      code: "command-failed",
      message: /start domain "gw-ready-off"[^]*\/is\/not\/there/,
    });
  });

  it("is not ready any more, once Pulumi asks, when its domain was removed", async () => {
    assert.ok(hypervisor);
    await hypervisor.virsh("undefine", name);
    await sleep(5000);
    assert.equal(await planned(args, args), undefined);
    assert.deepEqual(await provider.read("id", { ...args, ready: true }), {});
  });
});

/** A guest that finds nothing to boot and stays there. */
function renderIdleDomain(domain: string, uuid?: string): string {
  return `<domain type="qemu">
    <name>${domain}</name>${uuid === undefined ? "" : `<uuid>${uuid}</uuid>`}<memory unit="MiB">32</memory><vcpu>1</vcpu>
    <os><type arch="x86_64" machine="pc">hvm</type></os>
    <devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices>
  </domain>`;
}

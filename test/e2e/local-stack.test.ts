import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { openHost } from "../../providers/host/effects/host.ts";
import {
  renderVolumeScript,
  volumeGroupCommands,
} from "../../providers/volume-group/core/commands.ts";
import { readActivation } from "../../providers/volume-group/effects/activation.ts";
import { type CheckoutCopy, copyCheckout, type Outcome } from "../support/checkout-copy.ts";
import {
  editStackFile,
  interruptDuringUp,
  isRunning,
  killDuringUp,
  parseLastLine,
  renderStackFile,
  succeed,
} from "../support/lab-driver.ts";
import { compareSnapshots, readSnapshot, type Snapshot } from "../support/machine-snapshot.ts";
import { requireNeeds } from "../support/needs.ts";
import { freePort } from "../support/scratch.ts";

const gib = 1024 ** 3;
const stack = "e2e";
const name = `gwe2e-${process.pid.toString(36)}`; // several checkouts may be tested at once
const machine = "e2e1";
const volume = `${machine}-root`;

interface Preview {
  images: { volume: string; operation: string; cache: string; bytesToFetch: number }[];
}

describe("a lab from nothing to nothing", function () {
  this.timeout(15 * 60_000);
  this.bail(true);
  let lab: CheckoutCopy;
  let untouched: Snapshot;
  let stackFile: string;
  let sshCommand: string;
  let serialLog: string;
  let hostPublicKey: string;

  before(async function () {
    requireNeeds(this, ["root", "loop", "lvm", "netns", "mountns", "qemu", "ovmf", "libvirt"]);
    requireNeeds(this, ["minio", "pulumi", "netcat", "mkisofs", "mmdebstrap"]);
    untouched = readSnapshot();
    stackFile = renderStackFile({ name, machine, port: await freePort() });
    lab = copyCheckout(stack, stackFile);
  });

  after(async () => {
    await lab.make("down").done;
    lab.remove();
  });

  const pulumi = (args: string): Promise<Outcome> =>
    lab.shell(`node_modules/.bin/pulumi ${args} --non-interactive --stack ${stack}`);
  /** Runs a command in the guest by the SSH command that `make up` printed. */
  const inGuest = async (command: string): Promise<string> =>
    (await succeed(lab.shell(`${sshCommand} ${JSON.stringify(command)}`))).trim();
  const instanceId = (): Promise<string> => inGuest("cat /var/lib/cloud/data/instance-id");
  const bootId = (): Promise<string> => inGuest("cat /proc/sys/kernel/random/boot_id");
  /** Which volume of LVM's the root volume is. */
  const volumeUuid = async (): Promise<string> => {
    const host = openHost("qemu:///system"); // this machine
    const commands = volumeGroupCommands(await readActivation(host));
    const read = commands.lvm("lvs", "--noheadings", "-o", "lv_uuid", `${name}/${volume}`);
    return host.run(renderVolumeScript(commands, [read]), { purpose: "identify the volume" });
  };
  /** Changes the machine in the stack file, for all steps that follow. */
  const editMachine = (keys: readonly string[], value: unknown): void => {
    const edit = [["machines", 0, ...keys], value] as const;
    const salted = fs.readFileSync(lab.stackFile, "utf8");
    fs.writeFileSync(lab.stackFile, editStackFile(salted, [edit]));
    stackFile = editStackFile(stackFile, [edit]);
  };
  const editRootVolume = (key: string, value: unknown): void => {
    editMachine(["rootVolume", key], value);
  };
  const diskSize = async (): Promise<number> =>
    Number(await inGuest("lsblk --bytes --nodeps --noheadings --output SIZE /dev/vda"));
  const preview = async (): Promise<Preview> =>
    parseLastLine(await succeed(lab.make("preview", "--json"))) as Preview;

  it("boots a machine, and prints how to reach it", async () => {
    const output = await succeed(lab.make("up"));
    sshCommand = new RegExp(`ssh -F \\S+ ${machine}`).exec(output)?.[0] ?? "";
    assert.notEqual(sshCommand, "", output);
    assert.match(output, /192\.168\.177\.10/);
    serialLog = /serial log of e2e1 +(\/\S+)/.exec(output)?.[1] ?? "";
    assert.notEqual(serialLog, "", output);
    assert.match(output, /^Total +\d/m);
  });

  it("lets the user in, on a disk of the configured size, once cloud-init is done", async () => {
    assert.match(await inGuest("cloud-init status"), /status: done/);
    assert.equal(await inGuest("whoami"), "deploy");
    assert.equal(await diskSize(), 4 * gib);
    assert.ok(Number(await inGuest("findmnt --bytes --noheadings --output SIZE /")) > 3.5 * gib);
    hostPublicKey = await inGuest("sudo cat /etc/ssh/ssh_host_ed25519_key.pub");
  });

  it("has nothing to do the second time", async () => {
    await succeed(pulumi("preview --expect-no-changes"));
    const output = await succeed(lab.make("up"));
    assert.doesNotMatch(output, /\d+ (created|updated|replaced|deleted)/);
  });

  it("says what runs", async () => {
    assert.match(await succeed(lab.make("status")), /e2e1 +running +192\.168\.177\.10/);
  });

  it("takes a snapshot while its agent has the guest's file systems at rest, and goes on", async () => {
    const boot = await inGuest("cat /proc/sys/kernel/random/boot_id");
    const create = `create ${machine} before --description 'Before the rest' --json`;
    const { snapshot } = parseLastLine(await succeed(lab.make("snapshot", create))) as {
      snapshot: { consistency: string; state: string; sizeBytes: number };
    };
    assert.deepEqual(
      [snapshot.consistency, snapshot.state, snapshot.sizeBytes],
      ["frozen", "whole", 4 * gib],
    );
    assert.equal(await inGuest("touch ~/after && cat /proc/sys/kernel/random/boot_id"), boot);
    assert.match(
      await succeed(lab.make("snapshot", "list")),
      /e2e1 +before +0 min +4 GiB +frozen +whole +Before the rest/,
    );
  });

  it("shows what the hypervisor and the machine use", async () => {
    const { hosts } = parseLastLine(await succeed(lab.make("top", "--json"))) as {
      hosts: {
        machines: { machine: string; state: string; residentBytes: number }[];
        volumeGroups: { name: string; sizeBytes: number; freeBytes: number; volumes: number }[];
        cache: { files: number };
      }[];
    };
    const [host] = hosts;
    const [domain] = host?.machines ?? [];
    assert.deepEqual([domain?.machine, domain?.state], [machine, "running"]);
    assert.ok((domain?.residentBytes ?? 0) > 100 * 1024 ** 2);
    const [group] = host?.volumeGroups ?? [];
    assert.deepEqual([group?.name, group?.volumes], [name, 2]);
    assert.equal((group?.sizeBytes ?? 0) - (group?.freeBytes ?? 0), 8 * gib);
    assert.ok((host?.cache.files ?? 0) > 0);
  });

  it("grows the root volume in place", async () => {
    const boot = await bootId();
    await inGuest("echo kept > ~/kept");
    editRootVolume("sizeGiB", 5);
    await succeed(lab.make("up"));
    assert.equal(await diskSize(), 5 * gib);
    assert.equal(await inGuest("cat ~/kept"), "kept");
    assert.equal(await bootId(), boot);
  });

  it("shuts the machine down for other memory, and boots it from the disk that it had", async () => {
    const boot = await bootId();
    editMachine(["memoryMiB"], 1280);
    const printed = fs.statSync(serialLog).size;
    const output = await succeed(lab.make("up"));
    assert.doesNotMatch(output, /was switched off/);
    assert.match(fs.readFileSync(serialLog, "utf8").slice(printed), /Powering off|Power down/);
    assert.notEqual(await bootId(), boot);
    const memory = /^MemTotal: +(\d+) kB/.exec(await inGuest("grep MemTotal: /proc/meminfo"));
    assert.ok(Number(memory?.[1]) > 1100 * 1024, memory?.[0]);
    assert.equal(await inGuest("cat ~/kept"), "kept");
    assert.ok(Number(await inGuest("findmnt --bytes --noheadings --output SIZE /")) > 4.5 * gib);
  });

  it("starts a machine that somebody switched off, and says so before", async () => {
    const boot = await bootId();
    await succeed(lab.shell(`virsh --quiet destroy ${machine}`));
    assert.match(await succeed(pulumi("preview --diff")), /\+ start *: true/);
    await succeed(lab.make("up"));
    assert.notEqual(await bootId(), boot);
    assert.equal(await inGuest("cat ~/kept"), "kept");
    await succeed(pulumi("preview --expect-no-changes"));
  });

  it("writes the root volume anew when asked to, and stops the machine for it only if allowed", async () => {
    const [boot, instance, uuid] = [await bootId(), await instanceId(), await volumeUuid()];
    editRootVolume("generation", 1);
    const refused = await lab.make("up").done;
    assert.notEqual(refused.exitCode, 0);
    assert.match(refused.output, new RegExp(`domain "${machine}" has it open[^]*allowStop`));
    assert.equal(await bootId(), boot);

    editRootVolume("allowStop", true);
    await succeed(lab.make("up"));
    assert.equal(await volumeUuid(), uuid, "it is another volume");
    assert.match(await inGuest("cloud-init status"), /status: done/);
    assert.notEqual(await instanceId(), instance);
    assert.equal(await inGuest("test -e ~/kept || echo a new disk"), "a new disk");
    assert.equal(await inGuest("sudo cat /etc/ssh/ssh_host_ed25519_key.pub"), hostPublicKey);
    assert.equal(await diskSize(), 5 * gib);
    await succeed(pulumi("preview --expect-no-changes"));
    const output = await succeed(lab.make("up"));
    assert.doesNotMatch(output, /\d+ (created|updated|replaced|deleted)/);
    await inGuest("echo kept > ~/kept");
  });

  it("shows that domain and volume are gone, and what it costs with and without the cache", async () => {
    const host = openHost("qemu:///system"); // this machine
    const commands = volumeGroupCommands(await readActivation(host));
    await succeed(lab.shell(`virsh --quiet destroy ${machine}`));
    await succeed(lab.shell(`virsh --quiet undefine ${machine} --nvram`));
    assert.match(await succeed(pulumi("preview")), /e2e1: its domain was removed .*pulumi refresh/);
    await host.run(renderVolumeScript(commands, [commands.remove(name, volume)]), {
      purpose: "remove a volume by hand",
    });
    const refreshed = await succeed(pulumi("refresh --yes --diff"));
    assert.match(refreshed, new RegExp(volume));
    assert.match(refreshed, /MachineReady: \(delete\)/);

    const [hit] = (await preview()).images;
    assert.deepEqual([hit?.volume, hit?.cache, hit?.bytesToFetch], [`${name}/${volume}`, "hit", 0]);
    fs.rmSync(path.join(lab.home, "cache"), { recursive: true });
    const [miss] = (await preview()).images;
    assert.equal(miss?.cache, "miss");
    assert.ok(miss.bytesToFetch > 50 * 1024 ** 2, String(miss.bytesToFetch));
    assert.match(await succeed(pulumi("preview --diff")), /cache *: "miss"/);
  });

  it("goes on after Ctrl-C, and after pulumi was killed while it fetched, converted and waited", async () => {
    const cache = path.join(lab.home, "cache");
    await killDuringUp(
      lab,
      "an image is fetched",
      () => fs.existsSync(cache) && fs.readdirSync(cache).some((file) => file.endsWith(".part")),
    );
    await killDuringUp(lab, "a volume is populated", () =>
      isRunning("qemu-img", "convert", `/dev/${name}/`),
    );
    const boots = (output: string): boolean => /e2e1: \d+ s: /.test(output);
    await killDuringUp(lab, "a machine boots", boots);
    await interruptDuringUp(lab, "a machine boots", boots);
    await succeed(lab.make("up"));
    assert.match(await inGuest("cloud-init status"), /status: done/);
    assert.equal(await inGuest("sudo cat /etc/ssh/ssh_host_ed25519_key.pub"), hostPublicKey);
    assert.equal(await inGuest("test -e ~/kept || echo a new disk"), "a new disk");
    await succeed(pulumi("preview --expect-no-changes"));
  });

  it("leaves nothing behind", async () => {
    await succeed(lab.make("down"));
    assert.deepEqual(compareSnapshots(untouched, readSnapshot()), []);
    assert.equal(fs.existsSync(lab.home), false);
    assert.equal(fs.existsSync(`/dev/${name}`), false);
    assert.equal(fs.readFileSync(lab.stackFile, "utf8"), stackFile);
  });

  it("has nothing to take down the second time", async () => {
    await succeed(lab.make("down"));
    assert.equal(fs.existsSync(lab.home), false);
  });
});

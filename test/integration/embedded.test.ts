import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { layoutOf } from "../../embedded/core/layout.ts";
import type { Process } from "../../embedded/core/types.ts";
import { findProcesses } from "../../embedded/effects/processes.ts";
import { ensureEmbedded, readEmbedded } from "../../embedded/index.ts";
import { ignore, sh, useEmbedded } from "../support/embedded-lab.ts";

const MiB = 1024 ** 2;

describe("the embedded hypervisor, volume group and object store", function () {
  this.timeout(180_000);
  const {
    lab,
    ensure,
    stop,
    virsh,
    namespaceInode,
    processes,
    atRest,
    killAll,
    pidOf,
    store,
    volumes,
    startGuest,
    traces,
  } = useEmbedded();

  it("leaves nothing to stop where nothing was started, and no folder either", async () => {
    assert.deepEqual(traces(), []);
    await stop();
    assert.ok(!fs.existsSync(lab.options.home));
    assert.equal(await readEmbedded(lab.options), undefined);
  });

  it("starts all three on a machine that has none", async () => {
    const facts = await ensure();
    assert.deepEqual(facts.hypervisor, {
      kind: "embedded",
      uri: lab.uri,
      networkNamespace: `/run/netns/${lab.options.name}`,
    });
    assert.equal(facts.volumeGroup.kind, "embedded");
    assert.equal(facts.objectStore.kind, "embedded");
    assert.deepEqual(await readEmbedded(lab.options), facts);
    assert.equal(virsh("net-list", "--name"), "default");
    assert.match(virsh("net-info", "default"), /Autostart:\s+yes/);
    assert.ok(await store().bucketExists("images"));
    assert.match(
      sh(`vgs --driverloaded n --noheadings -o vg_tags ${lab.options.volumeGroup} 2>/dev/null`),
      /groundwork/,
    );
  });

  it("keeps its network inside the namespace and its folders out of the machine's mounts", () => {
    assert.match(
      sh(`nsenter --net=/run/netns/${lab.options.name} ip -4 addr`),
      /192\.168\.122\.1\/24/,
    );
    assert.match(sh(`ip -n ${lab.options.name} -brief addr show lo`), /127\.0\.0\.1/);
    assert.ok(!sh("ip -4 addr").includes("192.168.122.1/24"));
    assert.ok(!sh("cat /proc/self/mountinfo").includes(" /etc/libvirt "));
  });

  it("keeps credentials to itself", () => {
    const file = layoutOf(lab.options).credentials;
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    const { secretKey } = JSON.parse(fs.readFileSync(file, "utf8")) as { secretKey: string };
    assert.ok(!sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '").includes(secretKey));
    assert.ok(!fs.readFileSync(layoutOf(lab.options).facts, "utf8").includes(secretKey));
    assert.ok(!sh(`cat '${layoutOf(lab.options).logs}'/*`).includes(secretKey));
  });

  it("changes nothing when it is started twice, and is quick about it", async () => {
    const before = await atRest();
    const lines: string[] = [];
    const began = Date.now();
    await ensure((line) => lines.push(line));
    const took = Date.now() - began;
    assert.deepEqual(await atRest(), before);
    assert.equal(lines.length, 3, lines.join("\n"));
    assert.ok(took < 30_000, `${String(took)} ms`); // 0.2 s on an idle machine
  });

  it("lets two runs at once have the same", async () => {
    const before = await atRest();
    const [one, other] = await Promise.all([ensure(), ensure()]);
    assert.deepEqual(one, other);
    assert.deepEqual(await atRest(), before);
  });

  it("starts a killed libvirtd again without its guests noticing", async () => {
    await volumes((vg) => [vg.create(lab.options.volumeGroup, "guest-root", 64 * MiB)]);
    startGuest();
    const guests = async (): Promise<Process[]> =>
      (await atRest()).filter((one) => one.daemon === undefined);
    const before = await guests();
    const qemu = Number(
      sh(`pgrep -f 'guest=guest,' --ns ${String(pidOf("libvirtd"))} --nslist net`),
    );
    process.kill(pidOf("libvirtd"), "SIGKILL");
    process.kill(pidOf("virtlogd"), "SIGKILL");
    await ensure();
    assert.equal(virsh("domstate", "guest"), "running");
    const after = await guests();
    assert.ok(after.some((one) => one.pid === qemu));
    assert.equal(after.length, before.length);
  });

  it("gives the namespace its name back when only that was removed", async () => {
    const inode = namespaceInode();
    sh(`ip netns del ${lab.options.name}`);
    await ensure();
    assert.equal(namespaceInode(), inode);
    assert.equal(virsh("domstate", "guest"), "running");
  });

  it("repairs what kill -9 of every process leaves, and keeps the data", async () => {
    await store().putObject("images", "kept", "content");
    killAll();
    await ensure();
    assert.equal((await store().statObject("images", "kept")).size, 7);
    assert.equal(virsh("list", "--all", "--name"), "guest");
    assert.equal(virsh("net-list", "--name"), "default");
    startGuest();
  });

  it("comes back as it was after a restart of the machine", async () => {
    await volumes((vg) => [
      vg.assertIdle(lab.options.volumeGroup, "nothing"),
      `echo mark | dd of=/dev/${lab.options.volumeGroup}/guest-root bs=512 seek=9 conv=notrunc,sync status=none`,
    ]);
    killAll();
    await new Promise((resolve) => setTimeout(resolve, 500));
    sh(`ip netns del ${lab.options.name}; rm -rf /run/groundwork/${lab.options.name} /dev/${lab.options.volumeGroup}
        losetup --list --noheadings -O NAME,BACK-FILE | grep -F '${lab.scratch.folder}' | while read -r loop rest; do
          losetup -d "$loop"; done`);
    await ensure();
    assert.match(
      sh(`dd if=/dev/${lab.options.volumeGroup}/guest-root bs=512 skip=9 count=1 status=none`),
      /^mark/,
    );
    assert.equal((await store().statObject("images", "kept")).size, 7);
    startGuest();
    assert.equal(virsh("domstate", "guest"), "running");
  });

  it("grows the volume group when the configuration says so", async () => {
    await ensureEmbedded({ ...lab.options, volumeGroupSizeGiB: 2 }, ignore);
    lab.options = { ...lab.options, volumeGroupSizeGiB: 2 };
    const size = sh(
      `vgs --driverloaded n --noheadings --units g -o vg_size ${lab.options.volumeGroup} 2>/dev/null`,
    );
    assert.match(size, /2\.00g/);
  });

  it("refuses to stop while somebody uses a volume, says who, and stops afterwards", async () => {
    await volumes((vg) => [vg.create(lab.options.volumeGroup, "used", 16 * MiB)]);
    const open = fs.openSync(`/dev/${lab.options.volumeGroup}/used`, "r");
    const user = spawn("sleep", ["600"], { stdio: [open, "ignore", "ignore"] });
    fs.closeSync(open);
    await assert.rejects(stop(), { message: new RegExp(`in use by ${String(user.pid)} sleep`) });
    user.kill();
    await new Promise((resolve) => user.once("exit", resolve));
    await stop();
    assert.deepEqual(traces(), []);
  });

  it("leaves the machine as it was, guests of a running hypervisor included", async () => {
    await ensure();
    await volumes((vg) => [vg.create(lab.options.volumeGroup, "guest-root", 16 * MiB)]);
    startGuest();
    const pids = processes();
    assert.ok(pids.length >= 6, "two daemons, two dnsmasq, MinIO and the guest");
    await stop();
    assert.deepEqual(traces(), []);
    for (const { pid, startTime } of pids)
      assert.ok(
        !findProcesses(lab.options, undefined).some(
          (one) => one.pid === pid && one.startTime === startTime,
        ),
      );
    const others = sh("ip netns list").trim() !== "" || fs.existsSync("/run/groundwork");
    const mounted = spawnSync("mountpoint", ["-q", "/run/netns"]).status === 0;
    if (!others) assert.equal(mounted, lab.netnsWasMounted);
  });

  it("starts afresh when its folder was removed beneath it, and ends what ran there", async () => {
    await ensure();
    const before = processes();
    fs.rmSync(layoutOf(lab.options).root, { recursive: true });
    await ensure();
    assert.ok(!processes().some((one) => before.some((old) => old.pid === one.pid)));
    assert.equal(virsh("net-list", "--name"), "default");
    assert.ok(await store().bucketExists("images"));
  });

  it("stops when its folder was removed beneath it", async () => {
    fs.rmSync(lab.options.home, { recursive: true });
    await stop();
    assert.deepEqual(traces(), []);
  });
});

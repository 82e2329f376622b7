import * as assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import {
  type BackupOptions,
  createBackups,
  pruneBackups,
  readBackups,
  removeBackup,
} from "../../providers/volume-backup/effects/backups.ts";
import type { MachineVolumes } from "../../providers/volume-snapshot/core/snapshots.ts";
import { createSnapshot } from "../../providers/volume-snapshot/effects/snapshots.ts";
import { askGuestDisk, assertGuestDisk, writeGuestDisk } from "../support/guest-disk.ts";
import {
  type ImageVolumeLab,
  type Made,
  rejects,
  type TestImage,
} from "../support/image-volume-lab.ts";
import { useImageVolumeLab } from "../support/image-volume-suite.ts";

const owner = "groundwork/test";
const secret = "PRIVATE-HOST-KEY-7f3a9c51";
const identity = {
  "/etc/passwd": "root:x:0:0::/root:/bin/sh\n",
  "/etc/machine-id": "0123456789abcdef0123456789abcdef\n",
  "/etc/hostname": "vm1\n",
  "/etc/ssh/sshd_config": "UsePAM yes\n",
  "/etc/ssh/ssh_host_ed25519_key": `${secret}\n`,
  "/etc/ssh/ssh_host_ed25519_key.pub": "ssh-ed25519 AAAA\n",
  "/var/lib/cloud/instances/vm1-abc/user-data.txt": `ssh_keys: ${secret}\n`,
  "/var/lib/cloud/instances/vm1-abc/sem/config_runcmd": "done\n",
  "/var/lib/cloud/data/result.json": "{}\n",
  "/var/lib/systemd/random-seed": "entropy\n",
  "/var/lib/systemd/timers/stamp": "kept\n",
  "/home/deploy/notes": "what the machine is for\n",
};

describe("backups of a machine", function () {
  this.timeout(120_000);
  let lab: ImageVolumeLab;
  useImageVolumeLab({ sizeMiB: 1024, needs: ["gdisk"] }, (made) => {
    lab = made;
  });

  const machineOf = (...volumes: string[]): MachineVolumes => ({
    ...{ machine: "vm1", owner },
    volumes: volumes.map((volumeName) => ({
      ...{ volumeGroup: lab.group.name, volumeName, wipe: "none" as const },
    })),
  });
  const store = () => ({ endpoint: lab.minio.endpoint, bucket: "images", region: "us-east-1" });
  let clock = 1_764_400_000;
  const backUp = (machine: MachineVolumes, more: Partial<BackupOptions> = {}) =>
    createBackups(lab.uri, machine, {
      ...{ store: store(), hold: "pause", sealed: false, shutdownTimeoutSeconds: 10 },
      ...{ nowSeconds: (clock += 3600), report: () => undefined },
      ...more,
    });
  const keys = async (): Promise<string[]> => {
    const objects: string[] = [];
    for await (const item of lab.minio.client.listObjectsV2("images", "vm1") as AsyncIterable<{
      name?: string;
    }>)
      objects.push(item.name ?? "");
    return objects;
  };
  /** What is left on the host of images on their way. */
  const folder = (): string[] => [
    ...(fs.existsSync(`${lab.cache}.backups`) ? fs.readdirSync(`${lab.cache}.backups`) : []),
    ...(fs.existsSync(`${lab.cache}.backups.lock`) ? ["lock"] : []),
  ];
  const clear = async (): Promise<void> => {
    for (const key of await keys()) await lab.minio.client.removeObject("images", key);
  };
  afterEach(clear);

  async function guest(): Promise<{ image: TestImage; root: Made }> {
    const raw = path.join(lab.group.folder, "guest.raw");
    const file = path.join(lab.group.folder, "guest.qcow2");
    if (!fs.existsSync(raw)) {
      writeGuestDisk(raw, identity);
      execFileSync("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, file]);
    }
    const content = fs.readFileSync(file);
    const digest = await lab.upload("guest.qcow2", content);
    const image = {
      ...{ key: "guest.qcow2", digest, file, raw, bytes: content.length },
      virtualBytes: 64 * 2 ** 20,
    };
    return { image, root: await lab.create(lab.args(image, { volumeName: "vm1-root" })) };
  }

  it("are images, from which a volume is made that is the same", async () => {
    const image = await lab.image({ dataMiB: 8 });
    const root = await lab.create(lab.args(image, { volumeName: "vm1-root" }));
    const data = await lab.create(lab.args(undefined, { volumeName: "vm1-data" }));
    lab.group.bash(
      `printf changed | dd of=${lab.device(root)} bs=1 seek=100000000 conv=notrunc,fsync status=none`,
    );
    const made = await backUp(machineOf("vm1-root", "vm1-data"));
    assert.deepEqual(
      made.map(({ volume, complete, virtualBytes }) => [volume, complete, virtualBytes]),
      [
        ["vm1-root", true, 128 * 2 ** 20],
        ["vm1-data", true, 128 * 2 ** 20],
      ],
    );
    const [first, second] = made;
    assert.ok(first && second);
    assert.match(first.image, /^vm1-root\.2025\d{4}t\d{6}z$/);
    assert.ok(second.bytes < 2 ** 20, "zeroes are not left out");
    assert.deepEqual(await keys(), [
      ...[`${second.image}.qcow2`, `${second.image}.qcow2.sha256`],
      ...[`${first.image}.qcow2`, `${first.image}.qcow2.sha256`],
    ]);
    const restored = await lab.create(lab.args({ key: `${first.image}.qcow2` }));
    assert.equal(restored.outs["digest"], first.digest);
    execFileSync("cmp", [lab.device(root), lab.device(restored)]);
    execFileSync("cmp", [lab.device(data), "/dev/zero", "-n", String(2 ** 20)]);
    assert.ok(!lab.group.volumes().some((volume) => volume.includes("snap")));
    assert.deepEqual(folder(), []);
  });

  it("are made of a snapshot that is named, which stays", async () => {
    const image = await lab.image();
    const root = await lab.create(lab.args(image, { volumeName: "vm1-root" }));
    const machine = machineOf("vm1-root");
    await createSnapshot(lab.uri, machine, {
      ...{ name: "before", description: "", hold: "pause", nowSeconds: 1_764_300_000 },
    });
    lab.group.bash(`head -c 1M /dev/urandom >${lab.device(root)}`);
    const [made] = await backUp(machine, { snapshot: "before" });
    assert.ok(made);
    const restored = await lab.create(lab.args({ key: `${made.image}.qcow2` }));
    lab.assertContent(lab.device(restored), image);
    assert.ok(lab.group.volumes().includes("vm1-root.snap-before"));
    await rejects(backUp(machine, { snapshot: "other" }), "snapshot-missing", /"other"/);
  });

  it("keep what the retention wants, and images of the stack", async () => {
    await lab.create(lab.args(await lab.image(), { volumeName: "vm1-root" }));
    const machine = machineOf("vm1-root");
    const images: string[] = [];
    for (let count = 0; count < 4; count += 1)
      images.push(...(await backUp(machine)).map(({ image }) => image));
    const volumes = ["vm1-root"];
    const [oldest = "", second = "", ...newest] = images;
    const options = { owner, inUse: [oldest], nowSeconds: clock };
    const others = { ...options, owner: "groundwork/other", inUse: [] };
    assert.deepEqual(await pruneBackups(store(), volumes, { maxCount: 0 }, others), []);
    await rejects(
      removeBackup(store(), oldest, "groundwork/other"),
      "backup-not-ours",
      /it is of groundwork\/test, and not of groundwork\/other/,
    );
    const goes = await pruneBackups(
      store(),
      volumes,
      { maxCount: 2 },
      { ...options, dryRun: true },
    );
    assert.deepEqual(
      goes.map(({ backup }) => backup.image),
      [second],
    );
    assert.equal((await readBackups(store(), volumes)).length, 4);
    await pruneBackups(store(), volumes, { maxCount: 2 }, options);
    const left = await readBackups(store(), volumes);
    assert.deepEqual(
      left.map(({ image }) => image),
      [oldest, ...newest],
    );
    assert.equal((await keys()).length, 6);
  });

  it("do not take each other's snapshot away, but that of one which was killed", async () => {
    const image = await lab.image({ dataMiB: 2 });
    await lab.create(lab.args(image, { volumeName: "vm1-root" }));
    const machine = machineOf("vm1-root");
    const take = (name: string, nowSeconds: number) =>
      createSnapshot(lab.uri, machine, { name, description: "", hold: "pause", nowSeconds });
    await take("backup-under-way-dead", clock - 48 * 3600);
    await take("backup-under-way-else", clock);
    const made = (await Promise.all([backUp(machine), backUp(machine)])).flat();
    assert.equal(new Set(made.map(({ digest }) => digest)).size, 1);
    assert.deepEqual(lab.group.volumes(), ["vm1-root", "vm1-root.snap-backup-under-way-else"]);
  });

  it("leave nothing half-made when the store fails, and go on the next time", async () => {
    await lab.create(lab.args(await lab.image({ dataMiB: 2 }), { volumeName: "vm1-root" }));
    const machine = machineOf("vm1-root");
    lab.front.fault = ({ method }) => (method === "PUT" ? { status: 503 } : undefined);
    const broken = { ...store(), endpoint: lab.front.endpoint };
    await rejects(backUp(machine, { store: broken }), "upload-failed", /503/);
    assert.deepEqual([await keys(), folder()], [[], []]);
    assert.deepEqual(lab.group.volumes(), ["vm1-root"]);
    lab.front.fault = () => undefined;
    const [made] = await backUp(machine, { store: broken });
    assert.ok(made);
    assert.equal((await keys()).length, 2);
  });

  it("that are sealed hold the machine's files, and nothing of what it is known by", async () => {
    await guest();
    const [made] = await backUp(machineOf("vm1-root"), { sealed: true });
    assert.ok(made);
    assert.match(made.image, /\.sealed$/);
    const restored = lab.device(await lab.create(lab.args({ key: `${made.image}.qcow2` })));
    assertGuestDisk(restored);
    assert.equal(askGuestDisk(restored, "cat /home/deploy/notes"), "what the machine is for\n");
    assert.equal(askGuestDisk(restored, "cat /etc/ssh/sshd_config"), "UsePAM yes\n");
    assert.equal(askGuestDisk(restored, "cat /var/lib/systemd/timers/stamp"), "kept\n");
    assert.equal(askGuestDisk(restored, "cat /etc/machine-id"), "");
    assert.match(askGuestDisk(restored, "stat /etc/machine-id"), /Type: regular +Mode: +0444/);
    assert.doesNotMatch(askGuestDisk(restored, "ls -p /etc/ssh"), /ssh_host/);
    assert.doesNotMatch(askGuestDisk(restored, "ls -p /var/lib/cloud"), /instances|data/);
    assert.doesNotMatch(askGuestDisk(restored, "ls -p /var/lib/systemd"), /random-seed/);
    const found = (device: string): boolean =>
      spawnSync("grep", ["-qa", secret, device]).status === 0;
    assert.ok(found(`/dev/${lab.group.name}/vm1-root`));
    assert.ok(!found(restored), "the private key is still in the image");
    assert.equal(spawnSync("bash", ["-c", `losetup -a | grep -F ${lab.cache}`]).status, 1);
  });

  it("are not sealed where no file system is known on them", async () => {
    await lab.create(lab.args(await lab.image({ dataMiB: 2 }), { volumeName: "vm1-root" }));
    await rejects(
      backUp(machineOf("vm1-root"), { sealed: true }),
      "image-unsealable",
      /no ext2, ext3 or ext4/,
    );
    assert.deepEqual([await keys(), folder(), lab.group.volumes()], [[], [], ["vm1-root"]]);
  });
});

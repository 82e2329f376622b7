import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import type { Client } from "minio";
import { layoutOf } from "../../embedded/core/layout.ts";
import type { Process } from "../../embedded/core/types.ts";
import { findProcesses } from "../../embedded/effects/processes.ts";
import {
  type EmbeddedOptions,
  ensureEmbedded,
  readEmbedded,
  stopEmbedded,
} from "../../embedded/index.ts";
import { openHost } from "../../providers/host/effects/host.ts";
import {
  renderVolumeScript,
  volumeGroupCommands,
} from "../../providers/volume-group/core/commands.ts";
import { minioProgram, openMinio, startMinio } from "../support/minio.ts";
import { requireNeeds } from "../support/needs.ts";
import { freePort, makeScratch, type Scratch, undoAtExit } from "../support/scratch.ts";
import { makeVolumeGroup } from "../support/volume-group.ts";

const ignore = (): void => undefined;
const MiB = 1024 ** 2;

function sh(script: string): string {
  return execFileSync("bash", ["-c", script], { encoding: "utf8" });
}

/** Runs a program on the embedded module in a process of its own, which may kill itself. */
function inOwnProcess(code: string, wrapper: readonly string[] = []): ReturnType<typeof spawn> {
  const program = `
    import { ensureEmbedded, stopEmbedded } from "./embedded/index.ts";
    ${code}`;
  const words = [
    ...wrapper,
    process.execPath,
    "--import=tsx",
    "--input-type=module",
    "-e",
    program,
  ];
  return spawn(words[0] ?? "", words.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
}

async function outcomeOf(child: ReturnType<typeof spawn>): Promise<string> {
  let printed = "";
  child.stdout?.on("data", (text: Buffer) => (printed += text.toString()));
  child.stderr?.on("data", (text: Buffer) => (printed += text.toString()));
  await new Promise((resolve) => child.once("close", resolve));
  return printed;
}

describe("the embedded hypervisor, volume group and object store", function () {
  this.timeout(180_000);
  let scratch: Scratch;
  let options: EmbeddedOptions;
  let uri: string;
  let cleanUp: (() => void) | undefined;
  let netnsWasMounted: boolean;

  const ensure = (report: (line: string) => void = ignore): ReturnType<typeof ensureEmbedded> =>
    ensureEmbedded(options, report);
  const stop = (): Promise<void> => stopEmbedded(options, ignore);
  const virsh = (...words: string[]): string =>
    execFileSync("virsh", ["-c", uri, ...words], { encoding: "utf8" }).trim();
  const namespaceInode = (): number => fs.statSync(layoutOf(options).namespace).ino;
  const processes = (): Process[] =>
    findProcesses(
      options,
      fs.existsSync(layoutOf(options).namespace) ? namespaceInode() : undefined,
    );
  const pidOf = (daemon: string): number =>
    processes().find((one) => one.daemon === daemon)?.pid ?? assert.fail(`no ${daemon} runs`);
  const store = (): Client =>
    openMinio(Number(new URL(options.objectStore.endpoint).port), layoutOf(options).credentials);
  const volumes = async (
    make: (vg: ReturnType<typeof volumeGroupCommands>) => string[],
  ): Promise<string> => {
    const vg = volumeGroupCommands((await readEmbedded(options))?.volumeGroup.activation ?? "loop");
    const script = renderVolumeScript(vg, make(vg));
    return openHost("qemu:///system").run(script, { purpose: "prepare the test" });
  };
  const startGuest = (): void => {
    const xml = path.join(scratch.folder, "guest.xml");
    fs.writeFileSync(
      xml,
      `<domain type="qemu"><name>guest</name><memory unit="MiB">32</memory>
       <os><type machine="q35">hvm</type></os>
       <devices>
         <disk type="block" device="disk"><driver name="qemu" type="raw"/>
           <source dev="/dev/${options.volumeGroup}/guest-root"/><target dev="vda" bus="virtio"/></disk>
         <interface type="network"><source network="default"/></interface>
       </devices></domain>`,
    );
    if (!virsh("list", "--all", "--name").includes("guest")) virsh("define", xml);
    virsh("start", "guest");
  };

  /** What is left of ours on the machine, whatever others do on it meanwhile. */
  const traces = (): string[] => {
    const { name, volumeGroup } = options;
    const found = sh(`
      ip netns list | grep -w ${name} || true
      losetup --list --noheadings -O NAME,BACK-FILE | grep -F ${scratch.folder} || true
      grep -E '${name}|${scratch.folder}' /proc/self/mountinfo || true
      ls -d /dev/${volumeGroup} /run/lock/groundwork-${volumeGroup}.lock /run/groundwork/${name} /run/netns/${name} 2>/dev/null || true
      pvs --driverloaded n --noheadings -o pv_name,vg_name 2>/dev/null | grep -w ${volumeGroup} || true
      ls /etc/lvm/backup /etc/lvm/archive 2>/dev/null | grep -E '^${volumeGroup}(_|$)' || true
      ls -d ${options.home}/embedded 2>/dev/null || true`);
    const left = processes().map((one) => `process ${String(one.pid)}`);
    return [...found.split("\n").filter((line) => line !== ""), ...left];
  };

  before(async function () {
    requireNeeds(this, ["root", "loop", "lvm", "netns", "mountns", "qemu", "libvirt", "minio"]);
    scratch = makeScratch("embedded");
    const unique = randomBytes(4).toString("hex");
    options = {
      home: path.join(scratch.folder, "home of it"),
      name: `gwt${unique}`,
      volumeGroup: `gwe${unique}`,
      volumeGroupSizeGiB: 1,
      objectStore: {
        endpoint: `http://127.0.0.1:${String(await freePort())}`,
        bucket: "images",
        region: "us-east-1",
      },
      minioBinary: minioProgram(),
    };
    uri = layoutOf(options).uri;
    netnsWasMounted = spawnSync("mountpoint", ["-q", "/run/netns"]).status === 0;
    cleanUp = undoAtExit(() => {
      const code = `await stopEmbedded(${JSON.stringify(options)}, () => undefined);`;
      const program = `import { stopEmbedded } from "./embedded/index.ts"; ${code}`;
      spawnSync(process.execPath, ["--import=tsx", "--input-type=module", "-e", program], {
        stdio: ["ignore", "ignore", "inherit"],
      });
      scratch.remove();
    });
  });
  after(() => {
    cleanUp?.();
  });

  it("leaves nothing to stop where nothing was started, and no folder either", async () => {
    assert.deepEqual(traces(), []);
    await stop();
    assert.ok(!fs.existsSync(options.home));
    assert.equal(await readEmbedded(options), undefined);
  });

  it("starts all three on a machine that has none", async () => {
    const facts = await ensure();
    assert.deepEqual(facts.hypervisor, {
      kind: "embedded",
      uri,
      networkNamespace: `/run/netns/${options.name}`,
    });
    assert.equal(facts.volumeGroup.kind, "embedded");
    assert.equal(facts.objectStore.kind, "embedded");
    assert.deepEqual(await readEmbedded(options), facts);
    assert.equal(virsh("net-list", "--name"), "default");
    assert.match(virsh("net-info", "default"), /Autostart:\s+yes/);
    assert.ok(await store().bucketExists("images"));
    assert.match(
      sh(`vgs --driverloaded n --noheadings -o vg_tags ${options.volumeGroup} 2>/dev/null`),
      /groundwork/,
    );
  });

  it("keeps its network inside the namespace and its folders out of the machine's mounts", () => {
    assert.match(sh(`nsenter --net=/run/netns/${options.name} ip -4 addr`), /192\.168\.122\.1\/24/);
    assert.match(sh(`ip -n ${options.name} -brief addr show lo`), /127\.0\.0\.1/);
    assert.ok(!sh("ip -4 addr").includes("192.168.122.1/24"));
    assert.ok(!sh("cat /proc/self/mountinfo").includes(" /etc/libvirt "));
  });

  it("keeps credentials to itself", () => {
    const file = layoutOf(options).credentials;
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    const { secretKey } = JSON.parse(fs.readFileSync(file, "utf8")) as { secretKey: string };
    assert.ok(!sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '").includes(secretKey));
    assert.ok(!fs.readFileSync(layoutOf(options).facts, "utf8").includes(secretKey));
    assert.ok(!sh(`cat '${layoutOf(options).logs}'/*`).includes(secretKey));
  });

  it("changes nothing when it is started twice, and is quick about it", async () => {
    const before = processes();
    const lines: string[] = [];
    const began = Date.now();
    await ensure((line) => lines.push(line));
    const took = Date.now() - began;
    assert.deepEqual(processes(), before);
    assert.equal(lines.length, 3, lines.join("\n"));
    assert.ok(took < 10_000, `${String(took)} ms`); // 0.2 s on an idle machine
  });

  it("lets two runs at once have the same", async () => {
    const before = processes();
    const [one, other] = await Promise.all([ensure(), ensure()]);
    assert.deepEqual(one, other);
    assert.deepEqual(processes(), before);
  });

  it("starts a killed libvirtd again without its guests noticing", async () => {
    await volumes((vg) => [vg.create(options.volumeGroup, "guest-root", 64 * MiB)]);
    startGuest();
    const guests = (): Process[] => processes().filter((one) => one.daemon === undefined);
    const before = guests().length;
    const qemu = Number(
      sh(`pgrep -f 'guest=guest,' --ns ${String(pidOf("libvirtd"))} --nslist net`),
    );
    process.kill(pidOf("libvirtd"), "SIGKILL");
    process.kill(pidOf("virtlogd"), "SIGKILL");
    await ensure();
    assert.equal(virsh("domstate", "guest"), "running");
    assert.ok(guests().some((one) => one.pid === qemu));
    assert.equal(guests().length, before);
  });

  it("gives the namespace its name back when only that was removed", async () => {
    const inode = namespaceInode();
    sh(`ip netns del ${options.name}`);
    await ensure();
    assert.equal(namespaceInode(), inode);
    assert.equal(virsh("domstate", "guest"), "running");
  });

  it("repairs what kill -9 of every process leaves, and keeps the data", async () => {
    await store().putObject("images", "kept", "content");
    for (const one of processes()) process.kill(one.pid, "SIGKILL");
    await ensure();
    assert.equal((await store().statObject("images", "kept")).size, 7);
    assert.equal(virsh("list", "--all", "--name"), "guest");
    assert.equal(virsh("net-list", "--name"), "default");
    startGuest();
  });

  it("comes back as it was after a restart of the machine", async () => {
    await volumes((vg) => [
      vg.assertIdle(options.volumeGroup, "nothing"),
      `echo mark | dd of=/dev/${options.volumeGroup}/guest-root bs=512 seek=9 conv=notrunc,sync status=none`,
    ]);
    for (const one of processes()) process.kill(one.pid, "SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, 500));
    sh(`ip netns del ${options.name}; rm -rf /run/groundwork/${options.name} /dev/${options.volumeGroup}
        losetup --list --noheadings -O NAME,BACK-FILE | grep -F '${scratch.folder}' | while read -r loop rest; do
          losetup -d "$loop"; done`);
    await ensure();
    assert.match(
      sh(`dd if=/dev/${options.volumeGroup}/guest-root bs=512 skip=9 count=1 status=none`),
      /^mark/,
    );
    assert.equal((await store().statObject("images", "kept")).size, 7);
    startGuest();
    assert.equal(virsh("domstate", "guest"), "running");
  });

  it("grows the volume group when the configuration says so", async () => {
    await ensureEmbedded({ ...options, volumeGroupSizeGiB: 2 }, ignore);
    options = { ...options, volumeGroupSizeGiB: 2 };
    const size = sh(
      `vgs --driverloaded n --noheadings --units g -o vg_size ${options.volumeGroup} 2>/dev/null`,
    );
    assert.match(size, /2\.00g/);
  });

  it("refuses to stop while somebody uses a volume, says who, and stops afterwards", async () => {
    await volumes((vg) => [vg.create(options.volumeGroup, "used", 16 * MiB)]);
    const open = fs.openSync(`/dev/${options.volumeGroup}/used`, "r");
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
    await volumes((vg) => [vg.create(options.volumeGroup, "guest-root", 16 * MiB)]);
    startGuest();
    const pids = processes();
    assert.ok(pids.length >= 6, "two daemons, two dnsmasq, MinIO and the guest");
    await stop();
    assert.deepEqual(traces(), []);
    for (const { pid, startTime } of pids)
      assert.ok(
        !findProcesses(options, undefined).some(
          (one) => one.pid === pid && one.startTime === startTime,
        ),
      );
    const others = sh("ip netns list").trim() !== "" || fs.existsSync("/run/groundwork");
    const mounted = spawnSync("mountpoint", ["-q", "/run/netns"]).status === 0;
    if (!others) assert.equal(mounted, netnsWasMounted);
  });

  it("starts afresh when its folder was removed beneath it, and ends what ran there", async () => {
    await ensure();
    const before = processes();
    fs.rmSync(layoutOf(options).root, { recursive: true });
    await ensure();
    assert.ok(!processes().some((one) => before.some((old) => old.pid === one.pid)));
    assert.equal(virsh("net-list", "--name"), "default");
    assert.ok(await store().bucketExists("images"));
  });

  it("stops when its folder was removed beneath it", async () => {
    fs.rmSync(options.home, { recursive: true });
    await stop();
    assert.deepEqual(traces(), []);
  });

  describe("after a run that was killed", () => {
    const killedAtLine = (line: number): Promise<string> =>
      outcomeOf(
        inOwnProcess(`
          let lines = 0;
          await ensureEmbedded(${JSON.stringify(options)}, () => {
            if ((lines += 1) === ${String(line)}) process.kill(process.pid, "SIGKILL");
          });`),
      );

    for (const line of [1, 2, 3, 4, 5, 6])
      it(`before its announcement ${String(line)}: ${line % 2 === 0 ? "starts" : "stops"}`, async () => {
        await killedAtLine(line);
        if (line % 2 === 0) {
          await ensure();
          assert.equal(virsh("net-list", "--name"), "default");
          assert.ok(await store().bucketExists("images"));
        }
        await stop();
        assert.deepEqual(traces(), []);
      });

    for (const milliseconds of [800, 1400])
      it(`after ${String(milliseconds)} ms: starts and stops`, async () => {
        const child = inOwnProcess(
          `await ensureEmbedded(${JSON.stringify(options)}, () => undefined);`,
        );
        const ended = outcomeOf(child);
        setTimeout(() => child.kill("SIGKILL"), milliseconds);
        await ended;
        await ensure();
        assert.equal(virsh("net-list", "--name"), "default");
        await stop();
        assert.deepEqual(traces(), []);
      });

    it("while it stopped: stops and starts", async () => {
      await ensure();
      const child = inOwnProcess(`
        await stopEmbedded(${JSON.stringify(options)}, (line) => {
          if (line.includes("network namespace")) process.kill(process.pid, "SIGKILL");
        });`);
      await outcomeOf(child);
      await ensure();
      assert.equal(virsh("net-list", "--name"), "default");
      await stop();
      assert.deepEqual(traces(), []);
    });
  });

  describe("where something is there already", () => {
    afterEach(async () => {
      await stop();
      assert.deepEqual(traces(), []);
    });

    it("names the process that holds the store's port", async () => {
      const server = http.createServer((_request, response) => response.writeHead(404).end());
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as AddressInfo;
      const objectStore = { ...options.objectStore, endpoint: `http://127.0.0.1:${String(port)}` };
      await assert.rejects(ensureEmbedded({ ...options, objectStore }, ignore), {
        code: "object-store-port-taken",
        message: new RegExp(
          `Port ${String(port)} is taken by .*\\(pid ${String(process.pid)}\\).*groundwork:objectStore endpoint`,
        ),
      });
      server.close();
      assert.deepEqual(traces(), [], "a refusal comes before anything is changed");
    });

    it("uses a store and a volume group that are there, and leaves them there", async () => {
      const minio = await startMinio();
      const group = makeVolumeGroup({ sizeMiB: 64 });
      const given = {
        ...options,
        volumeGroup: group.name,
        objectStore: { ...options.objectStore, endpoint: minio.endpoint },
      };
      try {
        await assert.rejects(ensureEmbedded(given, ignore), { code: "object-store-denied" });
        process.env["MINIO_ACCESS_KEY"] = minio.credentials.accessKey;
        process.env["MINIO_SECRET_KEY"] = minio.credentials.secretKey;
        const facts = await ensureEmbedded(given, ignore);
        assert.equal(facts.volumeGroup.kind, "existing");
        assert.equal(facts.objectStore.kind, "existing");
        assert.deepEqual(
          JSON.parse(fs.readFileSync(facts.objectStore.credentialsFile, "utf8")),
          minio.credentials,
        );
        await stopEmbedded(given, ignore);
        assert.ok(await minio.client.bucketExists("images"));
        assert.deepEqual(group.volumes(), []);
      } finally {
        delete process.env["MINIO_ACCESS_KEY"];
        delete process.env["MINIO_SECRET_KEY"];
        minio.stop();
        group.remove();
      }
    });

    it("uses a libvirt of the machine and leaves it alone", async () => {
      await ensure();
      const before = processes();
      // Our own libvirt plays the machine's, where another home sees its sockets in /run/libvirt.
      const wrapper = ["unshare", "--mount", "bash", "-c"];
      const shown = `mount --bind '/run/groundwork/${options.name}' /run/libvirt; exec "$@"`;
      const other = {
        ...options,
        home: path.join(scratch.folder, "other"),
        name: `${options.name}b`,
      };
      const printed = await outcomeOf(
        inOwnProcess(
          `const other = { ...${JSON.stringify(other)}, volumeGroup: "${options.volumeGroup}x",
             objectStore: { ...${JSON.stringify(options.objectStore)}, endpoint: "http://127.0.0.1:${String(await freePort())}" } };
           const facts = await ensureEmbedded(other, () => undefined);
           await stopEmbedded(other, () => undefined);
           console.log(JSON.stringify(facts.hypervisor));`,
          [...wrapper, shown, "bash"],
        ),
      );
      assert.equal(printed, '{"kind":"system","uri":"qemu:///system"}\n');
      // libvirt itself starts some now and then, to ask its emulators what they can.
      const after = processes().map(({ pid }) => pid);
      assert.deepEqual(
        before.filter(({ pid }) => !after.includes(pid)),
        [],
      );
      assert.equal(virsh("net-list", "--name"), "default");
    });

    it("ends also what it started under an earlier name, and nothing under another's", async () => {
      await ensure();
      await volumes((vg) => [vg.create(options.volumeGroup, "guest-root", 16 * MiB)]);
      startGuest();
      const other: EmbeddedOptions = {
        ...options,
        home: path.join(scratch.folder, "other"),
        name: `${options.name}c`,
        volumeGroup: `${options.volumeGroup}c`,
        objectStore: {
          ...options.objectStore,
          endpoint: `http://127.0.0.1:${String(await freePort())}`,
        },
      };
      const earlier = layoutOf(other);
      await ensureEmbedded(other, ignore);
      await stopEmbedded({ ...other, name: options.name }, ignore);
      assert.deepEqual(findProcesses(other, undefined), []);
      for (const gone of [earlier.run, earlier.namespace, earlier.root])
        assert.equal(fs.existsSync(gone), false, gone);
      assert.equal(virsh("domstate", "guest"), "running");
    });

    it("refuses a name and a volume group that belong to another checkout", async () => {
      await ensure();
      const other = { ...options, home: path.join(scratch.folder, "other") };
      const credentials = layoutOf(options).credentials;
      process.env["GROUNDWORK_OBJECT_STORE_CREDENTIALS"] = credentials;
      try {
        await assert.rejects(ensureEmbedded(other, ignore), {
          code: "embedded-name-taken",
          message: /belongs to .*home of it.*The volume group .* belongs to another checkout/s,
        });
      } finally {
        delete process.env["GROUNDWORK_OBJECT_STORE_CREDENTIALS"];
      }
    });

    it("shows the end of the log when libvirtd cannot start", async () => {
      await ensure();
      for (const one of processes()) process.kill(one.pid, "SIGKILL");
      const { lib } = layoutOf(options).libvirt;
      fs.rmSync(lib, { recursive: true });
      fs.symlinkSync("/nowhere", lib);
      await assert.rejects(ensure(), {
        code: "hypervisor-silent",
        message: /ended at once.*mount/s,
      });
    });
  });
});

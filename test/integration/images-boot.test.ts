import { execa } from "execa";
import * as assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  renderMetaData,
  renderNetworkConfig,
  renderUserData,
  type Seed,
} from "../../cloud-init/render.ts";
import { ensureBuilt } from "../../images/effects/build.ts";
import { cacheFolder, requireNeeds } from "../support/needs.ts";
import { endTree, freePort, makeScratch, type Scratch, tied } from "../support/scratch.ts";

const firmware = "/usr/share/OVMF";
const mac = "52:54:00:6b:00:01";
const bootSeconds = 600; // 60 alone on a machine, and many times that beside other builds

type Firmware = "bios" | "uefi" | "uefi-secure";

/** A guest under plain QEMU without acceleration, with the seed that machines get. */
class Guest {
  readonly #scratch: Scratch;
  readonly #process: ChildProcess;
  readonly #port: number;
  readonly started = performance.now();

  private constructor(scratch: Scratch, port: number, process: ChildProcess) {
    [this.#scratch, this.#port, this.#process] = [scratch, port, process];
  }

  static async boot(image: string, kind: Firmware): Promise<Guest> {
    const scratch = makeScratch("boot");
    const file = (name: string): string => path.join(scratch.folder, name);
    for (const key of ["host", "user"])
      execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file(key)]);
    const read = (name: string): string => fs.readFileSync(file(name), "utf8");
    const port = await freePort();
    fs.writeFileSync(file("known_hosts"), `[127.0.0.1]:${String(port)} ${read("host.pub")}`);
    await makeSeed(file("seed"), read("user.pub").trim(), read("host.pub").trim(), read("host"));
    const disk = ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, file("disk"), "4G"];
    await execa("qemu-img", disk);

    const secure = kind === "uefi-secure";
    const vars = secure ? "OVMF_VARS_4M.ms.fd" : "OVMF_VARS_4M.fd";
    fs.copyFileSync(path.join(firmware, vars), file("vars"));
    const code = path.join(firmware, secure ? "OVMF_CODE_4M.secboot.fd" : "OVMF_CODE_4M.fd");
    const flash = (name: string, rest: string): string[] => [
      "-drive",
      `if=pflash,format=raw,file=${name}${rest}`,
    ];
    const drive = (id: string, rest: string): string[] => [
      ...["-drive", `if=none,id=${id},${rest}`],
      ...["-device", `virtio-blk-pci,drive=${id}`],
    ];
    const [program, args] = tied("qemu-system-x86_64", [
      ...["-machine", `q35,accel=tcg${secure ? ",smm=on" : ""}`, "-cpu", "max"],
      ...["-smp", "2", "-m", "1024", "-nodefaults", "-display", "none"],
      ...["-serial", `file:${file("serial.log")}`],
      ...(kind === "bios" ? [] : [...flash(code, ",readonly=on"), ...flash(file("vars"), "")]),
      ...(secure ? ["-global", "driver=cfi.pflash01,property=secure,value=on"] : []),
      ...drive("root", `file=${file("disk")},format=qcow2,cache=unsafe,discard=unmap`),
      ...drive("seed", `file=${file("seed.iso")},format=raw,readonly=on`),
      ...["-netdev", `user,id=lan,hostfwd=tcp:127.0.0.1:${String(port)}-:22`],
      ...["-device", `virtio-net-pci,netdev=lan,mac=${mac}`, "-device", "virtio-rng-pci"],
      ...["-device", "virtio-serial-pci", "-chardev", "null,id=agent"],
      ...["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"],
    ]);
    return new Guest(
      scratch,
      port,
      spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] }),
    );
  }

  get seconds(): number {
    return (performance.now() - this.started) / 1000;
  }

  serial(): string {
    const file = path.join(this.#scratch.folder, "serial.log");
    return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
  }

  /** Waits until the serial log shows something; returns the seconds since the start. */
  async waitForSerial(pattern: RegExp): Promise<number> {
    return this.#waitUntil(String(pattern), () => Promise.resolve(pattern.test(this.serial())));
  }

  /** Waits until the guest's sshd says its name, which costs the guest next to nothing. */
  async waitForSsh(): Promise<number> {
    return this.#waitUntil(
      "SSH",
      () =>
        new Promise((resolve) => {
          const socket = net.connect(this.#port, "127.0.0.1");
          const end = (answer: boolean): void => {
            socket.destroy();
            resolve(answer);
          };
          socket.setTimeout(3000, () => end(false));
          socket.once("data", (data) => end(data.toString().startsWith("SSH-")));
          socket.once("error", () => end(false));
          socket.once("close", () => resolve(false));
        }),
    );
  }

  async #waitUntil(what: string, ready: () => Promise<boolean>): Promise<number> {
    while (!(await ready())) {
      const dead = this.#process.exitCode !== null || this.serial().includes("Kernel panic");
      if (dead || this.seconds > bootSeconds)
        throw new Error(
          `No ${what} after ${this.seconds.toFixed(0)} s:\n${this.serial().slice(-3000)}`,
        );
      await sleep(250);
    }
    return this.seconds;
  }

  /** Runs a command over SSH, the host key checked against the one in the seed. */
  async ssh(command: string): Promise<string> {
    const options = [
      ...["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=60"],
      `UserKnownHostsFile=${path.join(this.#scratch.folder, "known_hosts")}`,
    ].flatMap((option) => ["-o", option]);
    const identity = ["-i", path.join(this.#scratch.folder, "user"), "-p", String(this.#port)];
    const { stdout } = await execa("ssh", [...options, ...identity, "deploy@127.0.0.1", command]);
    return stdout;
  }

  stop(): void {
    endTree(this.#process.pid);
    this.#scratch.remove();
  }
}

async function makeSeed(
  folder: string,
  userKey: string,
  hostPublicKey: string,
  hostKey: string,
): Promise<void> {
  const seed: Seed = {
    ...{ hostname: "image-test", user: "deploy", authorizedKeys: [userKey], hostPublicKey },
    ...{ packages: [], files: [], guestAgent: true },
    commands: ["systemctl is-active ssh > /run/said-by-runcmd"],
    interfaces: [
      {
        mac,
        address: {
          cidr: "10.0.2.15/24",
          gateway: "10.0.2.2",
          nameservers: [],
          routerAdvertisements: false,
        },
      },
    ],
  };
  fs.mkdirSync(folder);
  const write = (name: string, text: string): void =>
    fs.writeFileSync(path.join(folder, name), text);
  write("user-data", renderUserData(seed, hostKey));
  write("network-config", renderNetworkConfig(seed.interfaces));
  write("meta-data", renderMetaData("image-test-1", seed.hostname));
  await execa("genisoimage", ["-quiet", "-V", "cidata", "-J", "-R", "-o", `${folder}.iso`, folder]);
}

describe("booting the Debian image", function () {
  this.timeout(1_200_000);
  let image: string;
  let guest: Guest | undefined;
  const say = (line: string): void => {
    process.stderr.write(`    ${line}\n`);
  };

  before(async function () {
    requireNeeds(this, ["root", "mmdebstrap", "qemu", "ovmf", "mkisofs"]);
    const spec = { sizeGiB: 2, packages: [] };
    image = (await ensureBuilt("debian", spec, cacheFolder(), say)).image.path;
  });
  afterEach(() => {
    guest?.stop();
    guest = undefined;
  });

  it("comes by UEFI to `cloud-init status: done`, configured as the seed says", async () => {
    guest = await Guest.boot(image, "uefi");
    const grub = await guest.waitForSerial(/GRUB/);
    const initLocal = await guest.waitForSerial(/running 'init-local'/);
    const ssh = await guest.waitForSsh();
    await guest.ssh("until [ -e /run/cloud-init/result.json ]; do sleep 0.2; done");
    const [done, status] = [guest.seconds, await guest.ssh("cloud-init status --long")];
    const phases = { GRUB: grub, "cloud-init": initLocal, SSH: ssh, done };
    say(
      Object.entries(phases)
        .map(([name, at]) => `${name} ${at.toFixed(1)} s`)
        .join(", "),
    );
    say(await guest.ssh("systemd-analyze | head -n 1; systemd-analyze blame | head -n 8"));

    assert.match(status, /^status: done$/m);
    const facts = (
      await guest.ssh(`
        systemctl --failed --no-legend --plain | wc -l
        df --output=size -BG / | tail -n 1 | tr -d ' '
        hostname
        cat /run/said-by-runcmd
        systemctl is-active qemu-guest-agent
        ls /etc/ssh/ssh_host_*_key
        sudo -n id -u
        sudo sshd -T | grep -E '^(passwordauthentication|permitrootlogin) '
        test -s /etc/machine-id && echo has an id`)
    ).split("\n");
    assert.deepEqual(facts, [
      "0",
      "4G",
      "image-test",
      "active",
      "active",
      "/etc/ssh/ssh_host_ed25519_key",
      "0",
      "permitrootlogin without-password",
      "passwordauthentication no",
      "has an id",
    ]);
  });

  it("starts by BIOS", async () => {
    guest = await Guest.boot(image, "bios");
    say(`cloud-init ${(await guest.waitForSerial(/running 'init-local'/)).toFixed(1)} s`);
  });

  it("starts by UEFI with Secure Boot, signed from end to end", async () => {
    guest = await Guest.boot(image, "uefi-secure");
    say(`cloud-init ${(await guest.waitForSerial(/running 'init-local'/)).toFixed(1)} s`);
  });
});

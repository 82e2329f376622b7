import { execa, execaSync } from "execa";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { endTree, freePort, makeScratch, type Scratch, tied, undoAtExit } from "./scratch.ts";

const firmware = "/usr/share/OVMF";
const cpu = "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt";
/** 60 alone on a machine, and many times that beside other builds. */
const bootSeconds = 600;

/** UEFI is with Secure Boot. */
export type Firmware = "bios" | "uefi";

/** The files of a NoCloud seed. */
export interface SeedFiles {
  "user-data": string;
  "network-config": string;
  "meta-data": string;
}

/** Keys of one guest: its host key, pinned, and the key with which the test logs in. */
export interface GuestKeys {
  /** The private host key. */
  hostKey: string;
  hostPublicKey: string;
  userPublicKey: string;
}

export interface GuestOptions {
  /** The qcow2 image; the guest writes into an overlay. */
  image: string;
  firmware: Firmware;
  /** Who logs in. */
  user: string;
  /** The network card's address. */
  mac: string;
  seed: (keys: GuestKeys) => SeedFiles;
  /** Bytes of a second, empty disk; none: no such disk. */
  dataDiskBytes?: number;
}

/**
 * A guest under plain QEMU without acceleration, reached by SSH with its host key pinned. It reaches
 * this machine as 10.0.2.2. Needs ["qemu", "mkisofs"], and "ovmf" for UEFI.
 */
export class QemuGuest {
  readonly port: number;
  readonly #scratch: Scratch;
  readonly #options: GuestOptions;
  readonly #forget: () => void;
  #process: ChildProcess | undefined;
  #started = performance.now();

  private constructor(options: GuestOptions, scratch: Scratch, port: number) {
    [this.#options, this.#scratch, this.port] = [options, scratch, port];
    this.#forget = undoAtExit(() => {
      endTree(this.#process?.pid);
      scratch.remove();
    });
  }

  static async boot(options: GuestOptions): Promise<QemuGuest> {
    const guest = new QemuGuest(options, makeScratch("guest"), await freePort());
    await guest.#prepare();
    guest.start();
    return guest;
  }

  file(name: string): string {
    return path.join(this.#scratch.folder, name);
  }

  /** `qemu+ssh://` for a program of this machine. */
  get uri(): string {
    const query = new URLSearchParams({
      keyfile: this.file("user"),
      known_hosts: this.file("known_hosts"),
    });
    return `qemu+ssh://${this.#options.user}@127.0.0.1:${String(this.port)}/system?${query.toString()}`;
  }

  /** Since power-on. */
  get seconds(): number {
    return (performance.now() - this.#started) / 1000;
  }

  async #prepare(): Promise<void> {
    for (const key of ["host", "user"])
      execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", this.file(key)]);
    const read = (name: string): string => fs.readFileSync(this.file(name), "utf8");
    const hostPublicKey = read("host.pub").trim();
    fs.writeFileSync(
      this.file("known_hosts"),
      `[127.0.0.1]:${String(this.port)} ${hostPublicKey}\n`,
    );
    const keys = { hostKey: read("host"), hostPublicKey, userPublicKey: read("user.pub").trim() };
    const { image, firmware: kind, dataDiskBytes, seed } = this.#options;
    const folder = this.file("seed");
    fs.mkdirSync(folder);
    for (const [name, text] of Object.entries<string>({ ...seed(keys) }))
      fs.writeFileSync(path.join(folder, name), text);
    const iso = ["-quiet", "-V", "cidata", "-J", "-R", "-o", `${folder}.iso`, folder];
    await execa("genisoimage", iso);
    const overlay = ["-f", "qcow2", "-F", "qcow2", "-b", image, this.file("disk"), "4G"];
    await execa("qemu-img", ["create", "-q", ...overlay]);
    if (dataDiskBytes !== undefined) {
      fs.writeFileSync(this.file("data"), "");
      fs.truncateSync(this.file("data"), dataDiskBytes);
    }
    if (kind === "uefi")
      fs.copyFileSync(path.join(firmware, "OVMF_VARS_4M.ms.fd"), this.file("vars"));
  }

  /** Switches the guest on: at first, and again after {@link kill}. */
  start(): void {
    const { firmware: kind, mac, dataDiskBytes } = this.#options;
    const secure = kind === "uefi";
    const code = path.join(firmware, "OVMF_CODE_4M.secboot.fd");
    const flash = (name: string, rest: string): string[] => [
      "-drive",
      `if=pflash,format=raw,file=${name}${rest}`,
    ];
    const drive = (id: string, rest: string): string[] => [
      ...["-drive", `if=none,id=${id},${rest}`],
      ...["-device", `virtio-blk-pci,drive=${id},serial=${id}`],
    ];
    const data = `file=${this.file("data")},format=raw,cache=writeback,discard=unmap`;
    const [program, args] = tied("qemu-system-x86_64", [
      // Of what emulation is slow at (AVX, five levels of page tables, SMAP) this one has nothing.
      ...["-machine", `q35,accel=tcg${secure ? ",smm=on" : ""}`, "-cpu", cpu],
      ...["-smp", "2", "-m", "1024", "-nodefaults", "-display", "none"],
      ...["-serial", `file:${this.file("serial.log")}`],
      ...(secure ? [...flash(code, ",readonly=on"), ...flash(this.file("vars"), "")] : []),
      ...(secure ? ["-global", "driver=cfi.pflash01,property=secure,value=on"] : []),
      ...drive("root", `file=${this.file("disk")},format=qcow2,cache=unsafe,discard=unmap`),
      ...drive("seed", `file=${this.file("seed.iso")},format=raw,readonly=on`),
      ...(dataDiskBytes === undefined ? [] : drive("data", data)),
      ...["-netdev", `user,id=lan,hostfwd=tcp:127.0.0.1:${String(this.port)}-:22`],
      ...["-device", `virtio-net-pci,netdev=lan,mac=${mac}`, "-device", "virtio-rng-pci"],
      ...["-device", "virtio-serial-pci", "-chardev", "null,id=agent"],
      ...["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"],
    ]);
    fs.rmSync(this.file("serial.log"), { force: true });
    this.#started = performance.now();
    this.#process = spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] });
    this.#process.unref();
  }

  serial(): string {
    const file = this.file("serial.log");
    return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
  }

  /** Waits until the serial log shows something; returns the seconds since power-on. */
  async waitForSerial(pattern: RegExp): Promise<number> {
    return this.#waitUntil(String(pattern), () => Promise.resolve(pattern.test(this.serial())));
  }

  /** Waits until the guest's sshd says its name, which costs the guest next to nothing. */
  async waitForSsh(): Promise<number> {
    return this.#waitUntil("SSH", () => greets(this.port));
  }

  async #waitUntil(what: string, ready: () => Promise<boolean>): Promise<number> {
    while (!(await ready())) {
      const dead = this.#process?.exitCode !== null || this.serial().includes("Kernel panic");
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
    return (await execa("ssh", this.#sshArguments(command))).stdout;
  }

  /** As {@link ssh}, with a script on standard input. */
  bash(script: string): string {
    return execaSync("ssh", this.#sshArguments("bash"), { input: script }).stdout;
  }

  #sshArguments(command: string): string[] {
    const options = [
      ...["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=60", "LogLevel=ERROR"],
      `UserKnownHostsFile=${this.file("known_hosts")}`,
      // A new connection costs an unaccelerated guest a second or two.
      ...["ControlMaster=auto", `ControlPath=${this.file("c")}`, "ControlPersist=60"],
    ].flatMap((option) => ["-o", option]);
    const target = `${this.#options.user}@127.0.0.1`;
    return [...options, "-i", this.file("user"), "-p", String(this.port), target, command];
  }

  /** Cuts its power: what it had in memory is lost. Its disks stay. */
  async kill(): Promise<void> {
    const { pid } = this.#process ?? {};
    if (this.#process === undefined || pid === undefined) return;
    const ended = once(this.#process, "exit");
    endTree(pid);
    await ended;
  }

  /** Ends it and removes its files. */
  stop(): void {
    this.#forget();
  }
}

function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(3000, () => end(false));
    socket.once("data", (data) => end(data.toString().startsWith("SSH-")));
    socket.once("error", () => end(false));
    socket.once("close", () => resolve(false));
  });
}

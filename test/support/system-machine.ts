import { execa } from "execa";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { cgroupFolder } from "./cgroup.ts";
import { endTree, makeScratch, type Scratch, tied, undoAtExit, waitUntilReady } from "./scratch.ts";

const script = path.join(import.meta.dirname, "system-machine.sh");

/** A switch for machines of namespaces: a network namespace with a bridge, and the key they let in. */
export class SystemLan {
  readonly #scratch: Scratch = makeScratch("lan");
  readonly #process: ChildProcess;
  readonly #forget: () => void;

  /** @param address this machine's in there, with the length of its prefix. */
  constructor(address: string) {
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", this.#key]);
    const setUp = [
      "set -e",
      "ip link set lo up",
      "ip link add lan type bridge",
      `ip address add ${address} dev lan`,
      "ip link set lan up",
      "exec sleep infinity",
    ].join("\n");
    const [program, args] = tied("unshare", ["--net", "sh", "-c", setUp]);
    this.#process = spawn(program, args, { stdio: "ignore" });
    this.#process.unref();
    this.#forget = undoAtExit(() => {
      endTree(this.#process.pid);
      this.#scratch.remove();
    });
  }

  get #key(): string {
    return path.join(this.#scratch.folder, "id_ed25519");
  }

  /** Path of the network namespace. */
  get path(): string {
    return `/proc/${String(this.#process.pid)}/ns/net`;
  }

  /** What logs in to its machines. */
  get privateKey(): string {
    return fs.readFileSync(this.#key, "utf8");
  }

  get publicKey(): string {
    return fs.readFileSync(`${this.#key}.pub`, "utf8");
  }

  /** Waits until machines can be plugged in. */
  async ready(): Promise<void> {
    const bridge = ["nsenter", [`--net=${this.path}`, "ip", "link", "show", "lan", "up"]] as const;
    await waitUntilReady(
      "the bridge",
      async () => (await execa(...bridge)).stdout.includes("lan"),
      () => "",
    );
  }

  remove(): void {
    this.#forget();
  }
}

/**
 * A machine in all but its kernel: systemd is its first process and runs units as it does anywhere;
 * sshd lets in the LAN's key as root; what is written is its own, on this machine nothing changes.
 *
 * Needs ["root", "netns", "mountns", "sshd", "systemd"].
 */
export class SystemMachine {
  readonly name: string;
  readonly address: string;
  readonly #lan: SystemLan;
  readonly #cgroup: string;
  #scratch: Scratch | undefined;
  #process: ChildProcess | undefined;
  readonly #forget: () => void;

  /** @param name at most 15 characters, for it is its link's as well. */
  constructor(lan: SystemLan, name: string, address: string) {
    this.#lan = lan;
    this.name = name;
    this.address = address;
    this.#cgroup = path.join(cgroupFolder(), `groundwork-test-${String(process.pid)}-${name}`);
    this.#forget = undoAtExit(() => this.#end());
  }

  /** The only key that it shows. */
  get hostPublicKey(): string {
    return fs.readFileSync(path.join(this.#own("ssh"), "ssh_host_ed25519_key.pub"), "utf8").trim();
  }

  #own(...parts: string[]): string {
    return path.join(this.#scratch?.folder ?? "", "own/etc", ...parts);
  }

  /** Boots it from a new disk, with a new host key, ending what ran from the one before. */
  boot(): void {
    this.#end();
    this.#scratch = makeScratch(this.name);
    const { folder } = this.#scratch;
    const write = (name: string, text: string, mode = 0o644): void => {
      const file = path.join(folder, name);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, text, { mode });
    };
    write("own/etc/hostname", `${this.name}\n`);
    write("own/etc/machine-id", `${randomBytes(16).toString("hex")}\n`);
    write("own/etc/ssh/authorized_keys", this.#lan.publicKey);
    write("own/etc/ssh/sshd_config", sshdConfig(this.address));
    // sshd's sessions are root's already.
    write("own/usr/local/bin/sudo", '#!/bin/sh\n[ "$1" != -n ] || shift\nexec "$@"\n', 0o755);
    for (const [name, text] of Object.entries(units)) write(`units/${name}`, text);
    const key = path.join(folder, "own/etc/ssh/ssh_host_ed25519_key");
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key]);
    const output = fs.openSync(path.join(folder, "log"), "w");
    const { name, address } = this;
    const [program, args] = tied("bash", [
      ...[script, folder, name, address, this.#lan.path, this.#cgroup],
    ]);
    this.#process = spawn(program, args, { stdio: ["ignore", output, output] });
    this.#process.unref();
    fs.closeSync(output);
  }

  /** Runs a command inside, and gives its output whether it succeeds or not. */
  async run(command: string): Promise<string> {
    const unshare = String(this.#process?.pid ?? 0);
    const children = await execa("ps", ["-o", "pid=", "--ppid", unshare]);
    const inside = ["-t", children.stdout.trim(), "-a", "bash", "--norc", "-c", command];
    const { all } = await execa("nsenter", inside, { reject: false, all: true });
    return all;
  }

  #end(): void {
    endTree(this.#process?.pid);
    this.#process = undefined;
    removeGroups(this.#cgroup);
    this.#scratch?.remove();
    this.#scratch = undefined;
  }

  remove(): void {
    this.#forget();
  }
}

function sshdConfig(address: string): string {
  return [
    `ListenAddress ${address}`,
    "HostKey /etc/ssh/ssh_host_ed25519_key",
    "AuthorizedKeysFile /etc/ssh/authorized_keys",
    ...["PidFile none", "UsePAM no", "StrictModes no", "PasswordAuthentication no"],
    ...["PermitRootLogin prohibit-password", "MaxStartups 100", "SetEnv HOME=/tmp", ""],
  ].join("\n");
}

const target = (wants = ""): string => `[Unit]\nDefaultDependencies=no\nWants=${wants}\n`;

const units: Record<string, string> = {
  "default.target": target("multi-user.target"),
  "multi-user.target": target("basic.target ssh.service"),
  "basic.target": target("sysinit.target"),
  "sysinit.target": target("systemd-journald.service"),
  "sockets.target": target(),
  "shutdown.target": target(),
  "ssh.service":
    "[Unit]\nAfter=systemd-journald.service\n[Service]\nExecStart=/usr/sbin/sshd -D\nKillMode=process\n",
};

/** Removes a control group and those in it, which are empty once their processes are buried. */
function removeGroups(folder: string): void {
  if (!fs.existsSync(folder)) return;
  for (const entry of fs.readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeGroups(path.join(folder, entry.name));
  const end = Date.now() + 5000;
  for (;;)
    try {
      fs.rmdirSync(folder);
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
    }
}

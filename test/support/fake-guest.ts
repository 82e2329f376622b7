import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { SshMachine } from "../../providers/machine-ready/core/ssh-config.ts";
import { endTree, freePort, makeScratch, tied, undoAtExit, waitUntilReady } from "./scratch.ts";

/**
 * Stands in for a booting machine: a real sshd whose sessions find a `cloud-init` command that says
 * what the test wants. Needs ["root", "sshd"].
 */
export class FakeGuest {
  readonly #scratch = makeScratch("guest");
  readonly folder = this.#scratch.folder;
  readonly address: string;
  readonly port: number;
  readonly #namespace: string | undefined;
  #stopServer: () => void = () => undefined;

  private constructor(address: string, port: number, namespace: string | undefined) {
    this.address = address;
    this.port = port;
    this.#namespace = namespace;
    fs.mkdirSync(this.file("bin"));
    for (const key of ["host_key", "other_host_key", "user_key"])
      execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", this.file(key)]);
    fs.copyFileSync(this.file("user_key.pub"), this.file("authorized_keys"));
    this.says({ status: "done", errors: [] });
  }

  /** A machine that is still off. @param place where its address is, when not in our own namespace. */
  static async make(place?: { address: string; namespace: string }): Promise<FakeGuest> {
    const port = place === undefined ? await freePort() : 22;
    return new FakeGuest(place?.address ?? "127.0.0.1", port, place?.namespace);
  }

  file(name: string): string {
    return path.join(this.folder, name);
  }

  get privateKey(): string {
    return fs.readFileSync(this.file("user_key"), "utf8");
  }

  /** What the machine is to be reached by; `hypervisorUri` is one where no libvirt answers. */
  get machine(): SshMachine {
    return {
      name: "guest",
      address: this.address,
      port: this.port,
      user: os.userInfo().username,
      hostPublicKey: fs.readFileSync(this.file("host_key.pub"), "utf8").trim(),
      hypervisorUri: `qemu+unix:///system?socket=${this.file("no-libvirt")}`,
    };
  }

  /** What `cloud-init status --format json` prints, after so many seconds. */
  says(status: object, options: { exitCode?: number; afterSeconds?: number } = {}): void {
    const script = [
      "#!/bin/sh",
      `[ "$*" = "status --wait --format json" ] || { echo "usage: cloud-init" >&2; exit 64; }`,
      `sleep ${String(options.afterSeconds ?? 0)}`,
      `cat <<'END'\n${JSON.stringify(status, undefined, 1)}\nEND`,
      `exit ${String(options.exitCode ?? 0)}`,
      "",
    ].join("\n");
    fs.writeFileSync(this.file("bin/cloud-init"), script, { mode: 0o755 });
  }

  /** The machine has no cloud-init at all. */
  lacksCloudInit(): void {
    fs.rmSync(this.file("bin/cloud-init"));
  }

  /** The machine lets nobody in. */
  forgetsUser(): void {
    fs.writeFileSync(this.file("authorized_keys"), "");
  }

  /** Starts sshd. */
  async boot(options: { hostKey?: "host_key" | "other_host_key" } = {}): Promise<void> {
    fs.writeFileSync(
      this.file("sshd_config"),
      [
        `ListenAddress ${this.address}:${String(this.port)}`,
        `HostKey ${this.file(options.hostKey ?? "host_key")}`,
        `AuthorizedKeysFile ${this.file("authorized_keys")}`,
        // A home of its own, for bash reads the user's .bashrc in sessions of sshd too.
        `SetEnv PATH=${this.file("bin")}:/usr/bin:/bin HOME=${this.folder}`,
        ...["PidFile none", "UsePAM no", "StrictModes no", "PasswordAuthentication no"],
        ...["PermitRootLogin prohibit-password", "MaxStartups 100", ""],
      ].join("\n"),
    );
    fs.mkdirSync("/run/sshd", { recursive: true, mode: 0o755 }); // sshd drops its privileges there
    const sshd = ["/usr/sbin/sshd", "-D", "-e", "-f", this.file("sshd_config")];
    const inside = this.#namespace === undefined ? [] : ["nsenter", `--net=${this.#namespace}`];
    const [file = "", ...args] = [...inside, ...sshd];
    const output = fs.openSync(this.file("sshd.log"), "w");
    const server = spawn(...tied(file, args), { stdio: ["ignore", "ignore", output] });
    fs.closeSync(output);
    server.unref();
    this.#stopServer = undoAtExit(() => endTree(server.pid));
    const log = (): string => fs.readFileSync(this.file("sshd.log"), "utf8");
    await waitUntilReady("sshd", () => Promise.resolve(log().includes("Server listening")), log);
  }

  /** Ends sshd and its sessions. */
  halt(): void {
    this.#stopServer();
  }

  remove(): void {
    this.halt();
    this.#scratch.remove();
  }
}

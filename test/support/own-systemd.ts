import { execa } from "execa";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { cgroupFolder } from "./cgroup.ts";
import { endTree, makeScratch, tied, undoAtExit, waitUntilReady } from "./scratch.ts";

const script = path.join(import.meta.dirname, "own-systemd.sh");

/**
 * systemd, the real one, over the files of this machine, with units of its own.
 * Needs ["root", "mountns", "systemd"].
 */
export class OwnSystemd {
  readonly #scratch = makeScratch("systemd");
  readonly folder = this.#scratch.folder;
  readonly #cgroup = path.join(cgroupFolder(), `groundwork-systemd-${String(process.pid)}`);
  readonly #process: ChildProcess;
  readonly #forget: () => void;

  private constructor() {
    const output = fs.openSync(path.join(this.folder, "log"), "w");
    const [program, args] = tied("bash", [script, this.folder, this.#cgroup]);
    this.#process = spawn(program, args, { stdio: ["ignore", output, output] });
    this.#process.unref();
    fs.closeSync(output);
    this.#forget = undoAtExit(() => this.#end());
  }

  /** Boots it and waits until it answers. */
  static async start(): Promise<OwnSystemd> {
    const systemd = new OwnSystemd();
    await waitUntilReady(
      "systemd",
      async () => (await systemd.run("systemctl", "is-system-running")).output === "running",
      () => fs.readFileSync(path.join(systemd.folder, "log"), "utf8"),
    );
    return systemd;
  }

  /** Runs a command where it rules; never throws. */
  async run(file: string, ...args: string[]): Promise<{ exitCode: number; output: string }> {
    const unshare = String(this.#process.pid ?? 0);
    const inside = (await execa("ps", ["-o", "pid=", "--ppid", unshare])).stdout.trim();
    const result = await execa("nsenter", ["-t", inside, "-a", "-w", file, ...args], {
      all: true,
      reject: false,
    });
    return { exitCode: result.exitCode ?? -1, output: result.all };
  }

  #end(): void {
    endTree(this.#process.pid);
    const remove = `for _ in $(seq 50); do find "$1" -depth -type d -exec rmdir {} + 2>/dev/null; [ -d "$1" ] || exit 0; sleep 0.1; done`;
    spawnSync("bash", ["-c", remove, "bash", this.#cgroup], { stdio: "ignore" });
    this.#scratch.remove();
  }

  stop(): void {
    this.#forget();
  }
}

import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";

/**
 * What a test leaves outside its own memory is undone three times over: by the test's `after` hook,
 * by the exit of the process (Ctrl-C included), and, after a kill -9, by the next test that runs.
 */
const undone = new Set<() => void>();

process.once("exit", () => {
  for (const undo of [...undone].reverse()) quietly(undo);
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.once(signal, () => process.exit(1));

function quietly(undo: () => void): void {
  try {
    undo();
  } catch (error) {
    process.stderr.write(`clean-up after tests: ${String(error)}\n`);
  }
}

/**
 * Has `undo` called when the process ends, whatever ends it but kill -9.
 * Returns a function that does it now and never again.
 */
export function undoAtExit(undo: () => void): () => void {
  const once = (): void => {
    if (!undone.delete(once)) return;
    undo();
  };
  undone.add(once);
  return once;
}

export interface Scratch {
  /** A folder of the test's own below the system's temporary folder, mode 0700. */
  readonly folder: string;
  /** Detaches loop devices over its files, unmounts what is mounted in it, and removes it. */
  remove(): void;
}

const prefix = "groundwork-test-";

/** Makes a temporary folder, after clearing away those of test processes that were killed. */
export function makeScratch(purpose: string): Scratch {
  sweepScratch();
  const folder = fs.mkdtempSync(
    path.join(os.tmpdir(), `${prefix}${String(process.pid)}-${purpose}-`),
  );
  return { folder, remove: undoAtExit(() => clear(folder)) };
}

function sweepScratch(): void {
  for (const name of fs.readdirSync(os.tmpdir())) {
    const pid = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || fs.existsSync(`/proc/${pid}`)) continue;
    quietly(() => clear(path.join(os.tmpdir(), name)));
  }
}

function clear(folder: string): void {
  takeDownLab(path.join(folder, "checkout"));
  const script = `
    awk -v below="$1/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
      while read -r mount; do umount "$mount"; done
    for file in /sys/block/loop*/loop/backing_file; do
      [ -r "$file" ] || continue
      backing=$(cat "$file" 2>/dev/null) || continue
      case $backing in "$1"/*) ;; *) continue ;; esac
      loop=/dev/$(basename "$(dirname "$(dirname "$file")")")
      find /dev -maxdepth 2 -mindepth 2 -lname "$loop" -print -delete | while read -r link; do
        rmdir --ignore-fail-on-non-empty "$(dirname "$link")"
      done
      losetup -d "$loop"
    done`;
  spawnSync("bash", ["-c", script, "bash", folder], { stdio: ["ignore", "ignore", "inherit"] });
  fs.rmSync(folder, { recursive: true, force: true });
}

/**
 * Ends a lab that was started in a copy of the checkout and then left to itself.
 * @throws Error when it does not end: the folder has to stay then, for without it nothing can end it
 */
function takeDownLab(copy: string): void {
  if (!fs.existsSync(path.join(copy, ".groundwork"))) return;
  // What is still at work on it, as when only this process is ended, has the stack locked.
  for (const pid of childrenOf(process.pid)) if (worksIn(copy, pid)) endTree(pid);
  const stacks = fs
    .readdirSync(copy)
    .flatMap((file) => /^Pulumi\.(.+)\.yaml$/.exec(file)?.[1] ?? []);
  const said = stacks.map((stack) => {
    const options = { cwd: copy, encoding: "utf8", timeout: 120_000 } as const;
    const { output } = spawnSync("make", ["-s", "down", `STACK=${stack}`], options);
    return `STACK=${stack}: ${output.join("")}`;
  });
  if (fs.existsSync(path.join(copy, ".groundwork")))
    throw new Error(`The lab in ${copy} could not be taken down: ${said.join("\n")}`);
}

/** A TCP port of 127.0.0.1 that nothing listened on a moment ago. */
export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Waits until `ready` answers true; throws with what the process said when it does not. */
export async function waitUntilReady(
  what: string,
  ready: () => Promise<boolean>,
  output: () => string,
  seconds = 20,
): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!(await ready().catch(() => false))) {
    if (Date.now() > end)
      throw new Error(`${what} is not ready after ${String(seconds)} s: ${output()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The command line that runs a program which the kernel ends together with this process. */
export function tied(file: string, args: readonly string[]): [string, string[]] {
  return ["setpriv", ["--pdeathsig", "KILL", "--", file, ...args]];
}

/** Ends a process and all its descendants, by their ids. */
export function endTree(pid: number | undefined): void {
  if (pid === undefined) return;
  for (const each of treeOf(pid).reverse())
    try {
      process.kill(each, "SIGKILL");
    } catch {
      // it ended by itself
    }
}

/** A process and all its descendants, as `ps` shows them: for how long they run, and where they wait. */
export function describeTree(pid: number): string {
  const options = ["-ww", "-o", "pid,ppid,etimes,cputimes,wchan:20,args", "-p"];
  const { stdout } = spawnSync("ps", [...options, treeOf(pid).join()], { encoding: "utf8" });
  return stdout.replaceAll(/^(.{160}).+$/gm, "$1…");
}

function treeOf(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(treeOf)];
}

function childrenOf(pid: number): number[] {
  const listed = spawnSync("ps", ["-o", "pid=", "--ppid", String(pid)], { encoding: "utf8" });
  return (listed.stdout.match(/\d+/g) ?? []).map(Number);
}

/** Whether a process works in a folder. */
export function worksIn(folder: string, pid: number): boolean {
  try {
    return fs.readlinkSync(`/proc/${String(pid)}/cwd`) === folder;
  } catch {
    return false; // it has ended
  }
}

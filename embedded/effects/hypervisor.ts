import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { GroundworkError } from "../../providers/errors.ts";
import { layoutOf, namespaceFolder, runFolder } from "../core/layout.ts";
import { launcher } from "../core/libvirt-files.ts";
import type { HypervisorObserved } from "../core/observed.ts";
import { defaultNetwork } from "../core/plan-hypervisor.ts";
import type { EmbeddedFacts, EmbeddedOptions, Process } from "../core/types.ts";
import { command, tryCommand, waitFor } from "./command.ts";
import { logTail, startDaemon } from "./daemon.ts";
import { readFolders, writeLibvirtFiles } from "./libvirt-files.ts";
import { withMachineLock } from "./lock.ts";
import { isInUse, readNamesOf, readOwner, takeName } from "./owner.ts";
import { findProcesses, hasEnded } from "./processes.ts";

const namespaceFileSystem = 0x6e736673; // NSFS_MAGIC

const ownFolder = (path: string): string => join(runFolder, `.made${path.replaceAll("/", "-")}`);

function readNamespace(file: string): HypervisorObserved["namespace"] {
  if (!existsSync(file)) return { state: "absent" };
  return statfsSync(file).type === namespaceFileSystem
    ? { state: "present", inode: statSync(file).ino }
    : { state: "stale" };
}

/** Whether a daemon of ours runs in the namespace of that file. */
function livesIn(file: string, processes: readonly Process[]): boolean {
  const namespace = readNamespace(file);
  return (
    namespace.state === "present" &&
    processes.some((one) => one.daemon !== undefined && one.namespace === namespace.inode)
  );
}

async function readSystem(): Promise<HypervisorObserved["system"]> {
  // `uri` only connects; `version` would wait until a fresh daemon has tried every emulator.
  const result = await tryCommand("virsh", ["-c", "qemu:///system", "uri"], 20);
  if (result.exitCode === 0) return { state: "answers" };
  if (result.exitCode === 127 || /No such file or directory|Connection refused/.test(result.stderr))
    return { state: "absent" };
  return {
    state: "unclear",
    reason: result.stderr.trim().replaceAll("\n", "; ").replace(/\.$/, ""),
  };
}

async function readActiveNetworks(options: EmbeddedOptions): Promise<string[] | undefined> {
  const layout = layoutOf(options);
  if (!existsSync(layout.socket)) return undefined;
  const result = await tryCommand("virsh", ["-c", layout.uri, "net-list", "--name"], 15);
  return result.exitCode === 0
    ? result.stdout.split("\n").filter((name) => name !== "")
    : undefined;
}

export async function observeHypervisor(
  options: EmbeddedOptions,
  facts: EmbeddedFacts | undefined,
): Promise<HypervisorObserved> {
  const layout = layoutOf(options);
  const owner = readOwner(layout.owner);
  const owned = owner === options.home;
  const namespace = readNamespace(layout.namespace);
  const found = findProcesses(
    options,
    owned && namespace.state === "present" ? namespace.inode : undefined,
  );
  const inUse = namespace.state === "present" || (owner !== undefined && isInUse(owner));
  const otherOwner = !owned && inUse ? owner : undefined;
  const processes = found.filter((process: Process) => process.daemon !== "minio");
  const otherName = readNamesOf(options.home).find(
    (name) => name !== options.name && livesIn(layoutOf({ ...options, name }).namespace, processes),
  );
  const folders = readFolders(layout.libvirt.etc);
  const ours =
    folders !== "absent" || processes.length > 0 || facts?.hypervisor.kind === "embedded";
  // Behind a name that is another home's, another home's libvirt would answer.
  const alive = owned && processes.some((process) => process.daemon === "libvirtd");
  const activeNetworks = alive ? await readActiveNetworks(options) : undefined;
  return {
    system: ours ? { state: "not-asked" } : await readSystem(),
    folders,
    namespace,
    owned,
    ...(otherOwner !== undefined && { otherOwner }),
    ...(otherName !== undefined && { otherName }),
    processes,
    ...(activeNetworks !== undefined && { activeNetworks }),
  };
}

/** Makes a folder of the system's that we need, and remembers that it was us. */
function makeSystemFolder(path: string): void {
  if (existsSync(path)) return;
  writeFileSync(ownFolder(path), "");
  mkdirSync(path, { recursive: true });
}

export async function prepareLibvirt(options: EmbeddedOptions): Promise<void> {
  const layout = layoutOf(options);
  await withMachineLock(() => {
    mkdirSync(layout.run, { recursive: true, mode: 0o755 });
    takeName(layout.owner, options.name, options.home);
    makeSystemFolder("/run/libvirt");
  });
  writeLibvirtFiles(layout.libvirt);
}

async function readMounted(path: string): Promise<boolean> {
  return (await tryCommand("mountpoint", ["-q", path])).exitCode === 0;
}

async function freeNamespaceName(options: EmbeddedOptions): Promise<void> {
  if (!(await readMounted(namespaceFolder))) writeFileSync(ownFolder(namespaceFolder), "");
  rmSync(layoutOf(options).namespace, { force: true }); // a file with no namespace behind it
}

export async function makeNamespace(options: EmbeddedOptions): Promise<void> {
  await freeNamespaceName(options);
  await command(
    "ip",
    ["netns", "add", options.name],
    `make the network namespace "${options.name}"`,
  );
}

/** Gives a namespace that processes of ours still live in its name back. */
export async function adoptNamespace(options: EmbeddedOptions, pid: number): Promise<void> {
  await freeNamespaceName(options);
  await command(
    "ip",
    ["netns", "attach", options.name, String(pid)],
    `give the network namespace of process ${String(pid)} its name "${options.name}" back`,
  );
}

export async function startLibvirtDaemon(
  options: EmbeddedOptions,
  daemon: "virtlogd" | "libvirtd",
): Promise<void> {
  const { libvirt, namespace, run } = layoutOf(options);
  makeSystemFolder("/run/libvirt");
  await startDaemon(options, daemon, "nsenter", [
    `--net=${namespace}`,
    ...["unshare", "--mount", "--propagation", "slave"],
    ...["bash", "-c", launcher, "groundwork"],
    ...[libvirt.etc, libvirt.lib, libvirt.cache, libvirt.log, run],
    daemon,
    ...["--config", `/etc/libvirt/${daemon}.conf`],
    ...["--pid-file", `/run/libvirt/${daemon}.pid`],
  ]);
}

/**
 * The first question about guests has libvirt try every emulator, which takes it seconds. Asking it
 * now, and waiting for no answer, has it done by the time that somebody needs one.
 */
function warmCapabilities(options: EmbeddedOptions): void {
  const words = ["-c", layoutOf(options).uri, "capabilities"];
  const child = spawn("virsh", words, { cwd: "/", detached: true, stdio: "ignore" });
  child.on("error", () => undefined); // then it is somebody else who waits
  child.unref();
}

/** Waits until our libvirtd answers. @throws GroundworkError `hypervisor-silent` with the end of its log. */
export async function awaitLibvirt(options: EmbeddedOptions): Promise<void> {
  const outcome = await waitFor(async () => {
    if ((await readActiveNetworks(options)) !== undefined) return "answers";
    return (await hasEnded(options, "libvirtd")) ? "ended" : undefined;
  }, 30);
  if (outcome === "answers") {
    warmCapabilities(options);
    return;
  }
  throw new GroundworkError({
    code: "hypervisor-silent",
    message: `The embedded libvirtd ${outcome === "ended" ? "ended at once" : "does not answer after 30 s"} (${layoutOf(options).socket}). The end of its log:\n${logTail(options, "libvirtd")}\n`,
    next: "Mend what the log names; `make down` and `make up` start it afresh.",
  });
}

export async function startDefaultNetwork(options: EmbeddedOptions): Promise<void> {
  const virsh = ["-c", layoutOf(options).uri];
  // It starts by itself with the daemon; a moment's patience keeps the two from colliding.
  const active = await waitFor(
    async () =>
      (await readActiveNetworks(options))?.includes(defaultNetwork) === true ? true : undefined,
    2,
  );
  if (active === true) return;
  await command(
    "virsh",
    [...virsh, "net-start", defaultNetwork],
    "start libvirt's default network",
  );
}

/** Ends every guest of our own libvirt, without asking it. */
export async function destroyDomains(options: EmbeddedOptions): Promise<void> {
  const virsh = ["-c", layoutOf(options).uri];
  const list = await tryCommand("virsh", [...virsh, "list", "--name"], 10);
  const names = list.stdout.split("\n").filter((name) => name !== "");
  await Promise.all(
    names.map((name) => tryCommand("virsh", [...virsh, "destroy", "--", name], 20)),
  );
}

export async function removeNamespace(options: EmbeddedOptions): Promise<void> {
  const { namespace } = layoutOf(options);
  if (readNamespace(namespace).state === "present")
    await command(
      "ip",
      ["netns", "del", options.name],
      `remove the network namespace "${options.name}"`,
    );
  rmSync(namespace, { force: true });
}

/** Removes what we made below /run, shared folders only when nothing else of ours needs them. */
export function removeRunFolders(options: EmbeddedOptions): Promise<void> {
  return withMachineLock(async () => {
    rmSync(layoutOf(options).run, { recursive: true, force: true });
    if (!existsSync(runFolder)) return;
    const { stdout } = await tryCommand("ls", ["-A", runFolder]);
    if (stdout.split("\n").some((name) => name !== "" && !name.startsWith(".made"))) return;
    if (existsSync(ownFolder(namespaceFolder)) && (await readMounted(namespaceFolder)))
      await tryCommand("umount", [namespaceFolder]);
    for (const folder of [namespaceFolder, "/run/libvirt"])
      if (existsSync(ownFolder(folder))) removeWhenEmpty(folder);
    rmSync(runFolder, { recursive: true, force: true });
  });
}

/** Removes a folder, unless somebody put something into it. */
export function removeWhenEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // somebody uses it by now
  }
}

import * as fs from "node:fs/promises";
import * as path from "node:path";
import pLimit from "p-limit";
import { z } from "zod";
import { parseLibvirtUri } from "../../host/core/connection.ts";
import {
  planRoute,
  renderKnownHosts,
  renderSshConfig,
  type SshFilePaths,
  type SshMachine,
} from "../core/ssh-config.ts";

/** Which stack's files, and where. */
export interface SshFolder {
  /** Groundwork's folder, such as `<checkout>/.groundwork`. */
  home: string;
  stack: string;
}

const entrySchema = z.object({
  machine: z.object({
    name: z.string(),
    address: z.string(),
    port: z.number().optional(),
    user: z.string(),
    hostPublicKey: z.string(),
    hypervisorUri: z.string(),
  }),
  networkNamespace: z.string().optional(),
});

type Entry = z.infer<typeof entrySchema>;

/**
 * Machines become ready at the same time in one process, and every change renders the same files.
 * Pulumi's lock on the stack keeps other processes out.
 */
const oneAtATime = pLimit(1);

/**
 * Writes `<home>/ssh/<stack>/{config,known_hosts,id_ed25519}` for exactly these machines, so that
 * `ssh -F <home>/ssh/<stack>/config <machine>` works; without machines, removes them. All files are 0600 and change atomically.
 *
 * @param args.networkNamespace path of the embedded hypervisor's network namespace, where there is one.
 * @returns the path for `ssh -F`.
 */
export async function ensureSshFiles(
  args: SshFolder & {
    machines: readonly SshMachine[];
    privateKey: string;
    networkNamespace?: string | undefined;
  },
): Promise<{ configFile: string }> {
  const folder = folderOf(args);
  await oneAtATime(async () => {
    const kept = new Set(args.machines.map(({ name }) => entryName(name)));
    for (const name of await listEntries(folder))
      if (!kept.has(name)) await fs.rm(path.join(folder, "machines", name), { force: true });
    for (const machine of args.machines) await writeEntry(folder, { ...args, machine });
    await publishOrRemove(folder);
  });
  return { configFile: path.join(folder, "config") };
}

/** Adds or renews one machine and leaves the others as they are. @returns the path for `ssh -F`. */
export async function ensureSshEntry(
  args: SshFolder & {
    machine: SshMachine;
    privateKey: string;
    networkNamespace?: string | undefined;
  },
): Promise<{ configFile: string }> {
  const folder = folderOf(args);
  await oneAtATime(async () => {
    await writeEntry(folder, args);
    await publish(folder);
  });
  return { configFile: path.join(folder, "config") };
}

/** Removes one machine; with the last one, the files go too. */
export async function removeSshEntry(args: SshFolder & { name: string }): Promise<void> {
  const folder = folderOf(args);
  await oneAtATime(async () => {
    await fs.rm(path.join(folder, "machines", entryName(args.name)), { force: true });
    await publishOrRemove(folder);
  });
}

/** Removes a stack's files, whatever is in them. */
export async function removeSshFiles(args: SshFolder): Promise<void> {
  await oneAtATime(() => fs.rm(folderOf(args), { recursive: true, force: true }));
}

async function writeEntry(
  folder: string,
  args: { machine: SshMachine; privateKey: string; networkNamespace?: string | undefined },
): Promise<void> {
  await fs.mkdir(path.join(folder, "machines"), { recursive: true, mode: 0o700 });
  await writeAtomically(pathsIn(folder).identity, `${args.privateKey.trimEnd()}\n`);
  const entry: Entry = {
    machine: args.machine,
    ...(args.networkNamespace !== undefined && { networkNamespace: args.networkNamespace }),
  };
  const file = path.join(folder, "machines", entryName(args.machine.name));
  await writeAtomically(file, `${JSON.stringify(entry)}\n`);
}

/** Without machines there is nothing to keep, the key included. */
async function publishOrRemove(folder: string): Promise<void> {
  if ((await listEntries(folder)).length > 0) await publish(folder);
  else await fs.rm(folder, { recursive: true, force: true });
}

/** Renders the files from the entries. */
async function publish(folder: string): Promise<void> {
  const paths = pathsIn(folder);
  const machines = (await readEntries(folder)).map(({ machine, networkNamespace }) => ({
    machine: machine as SshMachine,
    route: planRoute(parseLibvirtUri(machine.hypervisorUri), networkNamespace),
  }));
  await writeAtomically(paths.knownHosts, renderKnownHosts(machines.map(({ machine }) => machine)));
  await writeAtomically(path.join(folder, "config"), renderSshConfig(machines, paths));
}

function folderOf({ home, stack }: SshFolder): string {
  return path.resolve(home, "ssh", stack);
}

function pathsIn(folder: string): SshFilePaths {
  return {
    knownHosts: path.join(folder, "known_hosts"),
    identity: path.join(folder, "id_ed25519"),
  };
}

function entryName(machine: string): string {
  return `${machine}.json`;
}

async function listEntries(folder: string): Promise<string[]> {
  const names = await fs.readdir(path.join(folder, "machines")).catch(whenMissing<string[]>([]));
  return names.filter((name) => name.endsWith(".json")).sort();
}

async function readEntries(folder: string): Promise<Entry[]> {
  const texts = await Promise.all(
    (await listEntries(folder)).map((name) =>
      fs.readFile(path.join(folder, "machines", name), "utf8").catch(whenMissing("")),
    ),
  );
  return texts.filter((text) => text !== "").map((text) => entrySchema.parse(JSON.parse(text)));
}

function whenMissing<T>(instead: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === "ENOENT") return instead;
    throw error;
  };
}

let writes = 0;

/** Readers see the old text or the new one, never a part. */
async function writeAtomically(file: string, text: string): Promise<void> {
  writes += 1;
  const temporary = `${file}.${String(process.pid)}-${String(writes)}.tmp`;
  try {
    await fs.writeFile(temporary, text, { mode: 0o600, flag: "wx" });
    await fs.rename(temporary, file);
  } catch (error) {
    await fs.rm(temporary, { force: true });
    throw error;
  }
}

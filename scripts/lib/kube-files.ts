import { execa } from "execa";
import { once } from "node:events";
import * as fs from "node:fs/promises";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { GroundworkError, tail } from "../../providers/errors.ts";
import { controlPathFor } from "../../providers/host/effects/control-path.ts";
import { readNames } from "./files.ts";

/** Where the kubeconfigs of a stack are. */
export function kubeFolder(home: string, stack: string): string {
  return path.join(home, "kube", stack);
}

export function defaultKubeconfig(): string {
  return path.join(os.homedir(), ".kube", "config");
}

/** The text of a file; empty where there is none. */
export async function readText(file: string): Promise<string> {
  try {
    return await fs.readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

/** Writes a secret file, 0600, at once or not at all; a link stays one. */
export async function writeSecret(file: string, text: string): Promise<void> {
  await fs.mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const target = await fs.realpath(file).catch(() => file);
  const temporary = `${target}.${String(process.pid)}.tmp`;
  try {
    await fs.writeFile(temporary, text, { mode: 0o600, flag: "wx" });
    await fs.rename(temporary, target);
  } catch (error) {
    await fs.rm(temporary, { force: true });
    throw error;
  }
}

/** An SSH connection in the background that leads from a port of this machine to a cluster's API. */
export interface TunnelOptions {
  /** The file for `ssh -F`, and the server in it. */
  configFile: string;
  server: string;
  folder: string;
  cluster: string;
}

/** A socket's path must be short, and the folder's may not be. */
const control = ({ folder, cluster }: Pick<TunnelOptions, "folder" | "cluster">): string =>
  controlPathFor(`tunnel ${path.join(folder, cluster)}`);

/** A free port of 127.0.0.1: this one where it is. */
async function freePort(wanted: number): Promise<number> {
  const server = net.createServer().listen(wanted, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch (error) {
    if (wanted === 0) throw error;
    return freePort(0);
  }
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The port of a tunnel, also of one that has ended, and the server that it leads to. */
async function readTunnel(file: string): Promise<{ port: number; server: string }> {
  const [, port = "0", server = ""] = /^(\d{1,5}) (\S+)\n$/.exec(await readText(file)) ?? [];
  return { port: Number(port), server };
}

/**
 * Makes sure that the tunnel is there; one that still works is kept. Another one takes its port, which is
 * in kubeconfigs, where nobody else has it by now.
 *
 * @returns the port on 127.0.0.1.
 * @throws GroundworkError `tunnel-failed`
 */
export async function ensureTunnel(options: TunnelOptions): Promise<number> {
  const portFile = path.join(options.folder, `${options.cluster}.port`);
  const known = await readTunnel(portFile);
  if (known.server === options.server && (await isAlive(options))) return known.port;
  await endTunnel(options);
  const port = await freePort(known.port);
  await fs.mkdir(options.folder, { recursive: true, mode: 0o700 });
  const log = path.join(options.folder, `${options.cluster}.log`);
  await fs.rm(log, { force: true });
  const words = [
    // What goes on in the background keeps standard error, the end of which would be waited for.
    ...["-E", log],
    ...["-F", options.configFile, "-f", "-N", "-T", "-M", "-S", control(options)],
    ...["BatchMode=yes", "ExitOnForwardFailure=yes", "ConnectTimeout=20"].flatMap((o) => ["-o", o]),
    ...["ServerAliveInterval=15", "ControlPersist=no"].flatMap((o) => ["-o", o]),
    ...["-L", `127.0.0.1:${String(port)}:127.0.0.1:6443`, "--", options.server],
  ];
  const result = await execa("ssh", words, {
    ...{ stdio: "ignore", reject: false, detached: true, cleanup: false },
  });
  if (result.exitCode !== 0) {
    const said = await readText(log);
    throw new GroundworkError({
      code: "tunnel-failed",
      message: `Cannot lead a tunnel to ${options.server}: ${tail(said.replaceAll("\r", ""), 2).trim()}.`,
      next: `Check that \`make ssh M=${options.server}\` works.`,
    });
  }
  await writeSecret(portFile, `${String(port)} ${options.server}\n`);
  return port;
}

async function isAlive(options: Pick<TunnelOptions, "folder" | "cluster">): Promise<boolean> {
  const result = await execa("ssh", ["-S", control(options), "-O", "check", "x"], {
    ...{ stdin: "ignore", reject: false },
  });
  return result.exitCode === 0;
}

/** Ends a tunnel, where there is one. */
export async function endTunnel(options: Pick<TunnelOptions, "folder" | "cluster">): Promise<void> {
  await execa("ssh", ["-S", control(options), "-O", "exit", "x"], {
    stdin: "ignore",
    reject: false,
  });
  for (const suffix of ["port", "log"])
    await fs.rm(path.join(options.folder, `${options.cluster}.${suffix}`), { force: true });
}

/** Ends the tunnels of a stack and removes its kubeconfigs. */
export async function removeKubeFiles(home: string, stack: string): Promise<void> {
  const folder = kubeFolder(home, stack);
  for (const name of (await readNames(folder)) ?? [])
    if (name.endsWith(".port")) await endTunnel({ folder, cluster: name.slice(0, -5) });
  await fs.rm(folder, { recursive: true, force: true });
  await fs.rmdir(path.dirname(folder)).catch(() => undefined); // another stack's are in it
}

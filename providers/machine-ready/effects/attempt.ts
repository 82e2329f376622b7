import { execa } from "execa";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { quote } from "../../host/core/script.ts";
import { parseAttempt, parseStage, renderGuestScript, type Sighting } from "../core/sighting.ts";
import {
  renderKnownHosts,
  renderSshConfig,
  type Route,
  type SshMachine,
} from "../core/ssh-config.ts";

/** Tries once to reach the machine and, when it lets us in, waits there for the end of cloud-init. */
export type Attempt = (options: {
  signal: AbortSignal;
  onStage: (stage: string) => void;
}) => Promise<Sighting>;

/** Lets `work` try; the private key lies in a private folder for just as long. */
export async function withAttempts<T>(
  target: { machine: SshMachine; route: Route; privateKey: string },
  work: (attempt: Attempt) => Promise<T>,
): Promise<T> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "groundwork-ssh-")); // mode 0700
  try {
    const paths = {
      knownHosts: path.join(folder, "known_hosts"),
      identity: path.join(folder, "identity"),
    };
    const config = path.join(folder, "config");
    const { machine, route } = target;
    await fs.writeFile(paths.identity, target.privateKey, { mode: 0o600 });
    await fs.writeFile(paths.knownHosts, renderKnownHosts([machine]), { mode: 0o600 });
    await fs.writeFile(config, renderSshConfig([{ machine, route }], paths, { explain: true }), {
      mode: 0o600,
    });
    return await work((options) => runAttempt(config, machine.name, options));
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
}

const sshOptions = [
  ["BatchMode", "yes"],
  ["ConnectTimeout", "10"], // the handshake of an emulated machine takes seconds while it boots
  ["ServerAliveInterval", "10"],
  ["ServerAliveCountMax", "6"],
].flatMap(([name, value]) => ["-o", `${name}=${value}`]);

async function runAttempt(
  config: string,
  name: string,
  { signal, onStage }: Parameters<Attempt>[0],
): Promise<Sighting> {
  const command = `sh -c ${quote(renderGuestScript())}`;
  const child = execa("ssh", ["-F", config, "-T", ...sshOptions, name, command], {
    stdin: "ignore",
    reject: false,
    cancelSignal: signal,
    forceKillAfterDelay: 2000,
    env: { LC_ALL: "C" },
  });
  const stages = (async () => {
    for await (const line of child.iterable({ from: "stdout" })) {
      const stage = parseStage(line);
      if (stage !== undefined) onStage(stage);
    }
  })().catch(() => undefined); // the result below tells what went wrong
  const result = await child;
  await stages;
  return parseAttempt({
    exitCode: result.exitCode ?? 255,
    stdout: result.stdout,
    stderr: result.stderr !== "" ? result.stderr : (result.shortMessage ?? ""),
  });
}

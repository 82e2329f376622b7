import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { endTree, freePort, makeScratch, tied, undoAtExit, waitUntilReady } from "./scratch.ts";

/** An OpenSSH server of the test's own on a free port of 127.0.0.1, letting in one key. */
export interface TestSshd {
  readonly port: number;
  readonly user: string;
  /** The private key that is let in. */
  readonly identityFile: string;
  /** Knows the server's host key, and no other. */
  readonly knownHostsFile: string;
  /** The host key as in known_hosts: `ssh-ed25519 AAAA…`. */
  hostKey(): string;
  /** `ssh://…`, with all that is needed to get in, the way into the namespace included. */
  readonly hostUri: string;
  /** `qemu+ssh://user@127.0.0.1:port/system?keyfile=…&known_hosts=…`: this machine as a remote host. */
  readonly uri: string;
  /** Gives the server another host key without telling the clients. */
  rotateHostKey(): Promise<void>;
  /** Drops every connection; the server goes on, and so does what they had started, untold. */
  dropConnections(): void;
  /** Ends the server and its connections, and removes its files. */
  stop(): void;
}

/**
 * Starts sshd. Call `requireNeeds(this, ["root", "sshd"])` before.
 * @param environment what commands on the "remote" machine find in theirs
 * @param namespace path of the network namespace to be in; by default ours
 */
export async function startSshd(
  environment: Record<string, string> = {},
  namespace?: string,
): Promise<TestSshd> {
  const scratch = makeScratch("sshd");
  const { folder } = scratch;
  const port = await freePort();
  const file = (name: string): string => path.join(folder, name);
  const makeKey = (name: string): void => {
    fs.rmSync(file(name), { force: true });
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file(name)]);
  };
  const hostKey = (): string => fs.readFileSync(file("host_key.pub"), "utf8").trim();
  makeKey("host_key");
  makeKey("id_ed25519");
  fs.copyFileSync(file("id_ed25519.pub"), file("authorized_keys"));
  fs.writeFileSync(file("known_hosts"), `[127.0.0.1]:${String(port)} ${hostKey()}\n`);
  fs.writeFileSync(
    file("sshd_config"),
    [
      `ListenAddress 127.0.0.1:${String(port)}`,
      `HostKey ${file("host_key")}`,
      `AuthorizedKeysFile ${file("authorized_keys")}`,
      ...["PidFile none", "UsePAM no", "StrictModes no", "PasswordAuthentication no"],
      // The login shell reads no start-up files of the user who runs the tests.
      `SetEnv ${Object.entries({ HOME: folder, ...environment })
        .map(([name, value]) => `${name}="${value}"`)
        .join(" ")}`,
      ...["PermitRootLogin prohibit-password", "MaxStartups 100", "MaxSessions 100"],
      "",
    ].join("\n"),
  );
  // sshd drops its privileges into this folder; packages leave its making to the service manager.
  fs.mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });

  const log = (): string => fs.readFileSync(file("log"), "utf8");
  let pid: number | undefined;
  const start = async (): Promise<void> => {
    const sshd = ["/usr/sbin/sshd", "-D", "-e", "-f", file("sshd_config")];
    const inside = namespace === undefined ? [] : ["nsenter", `--net=${namespace}`];
    const [program = "", ...words] = [...inside, ...sshd];
    const [command, args] = tied(program, words);
    const output = fs.openSync(file("log"), "w");
    const server = spawn(command, args, { stdio: ["ignore", "ignore", output] });
    fs.closeSync(output);
    pid = server.pid;
    server.unref();
    await waitUntilReady("sshd", () => Promise.resolve(log().includes("Server listening")), log);
  };
  const stop = undoAtExit(() => {
    endTree(pid);
    scratch.remove();
  });
  try {
    await start();
  } catch (error) {
    stop();
    throw error;
  }
  const user = os.userInfo().username;
  fs.writeFileSync(
    file("ssh_config"),
    [
      "Host target",
      `  HostName 127.0.0.1\n  Port ${String(port)}\n  User ${user}`,
      `  IdentityFile ${file("id_ed25519")}\n  IdentitiesOnly yes`,
      `  UserKnownHostsFile ${file("known_hosts")}`,
      ...(namespace === undefined ? [] : [`  ProxyCommand nsenter --net=${namespace} nc %h %p`]),
      "",
    ].join("\n"),
  );
  const query = new URLSearchParams({
    keyfile: file("id_ed25519"),
    known_hosts: file("known_hosts"),
  });
  return {
    ...{ port, user, identityFile: file("id_ed25519"), knownHostsFile: file("known_hosts") },
    hostUri: `ssh://target?${new URLSearchParams({ config: file("ssh_config") }).toString()}`,
    uri: `qemu+ssh://${user}@127.0.0.1:${String(port)}/system?${query.toString()}`,
    ...{ hostKey, stop },
    rotateHostKey: async () => {
      endTree(pid);
      makeKey("host_key");
      await start();
    },
    dropConnections: () => {
      for (const child of execFileSync("sh", ["-c", `ps -o pid= --ppid ${String(pid)} || true`], {
        encoding: "utf8",
      }).split("\n"))
        if (child.trim() !== "") process.kill(Number(child), "SIGKILL");
    },
  };
}

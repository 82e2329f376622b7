import { type HostConnection, sshArguments } from "../../host/core/connection.ts";
import { quoteAll } from "../../host/core/script.ts";

/** A machine as SSH must know it. */
export interface SshMachine {
  name: string;
  /** IP address or host name, as seen from where the route ends. */
  address: string;
  /** Default 22. */
  port?: number;
  user: string;
  /** The only key that the machine may show: one line, `ssh-ed25519 AAAA…`. */
  hostPublicKey: string;
  /** libvirt's URI of its hypervisor, which decides the route to it. */
  hypervisorUri: string;
}

/** How to get from this machine to one on a hypervisor. */
export type Route =
  | { kind: "direct" }
  | { kind: "namespace"; path: string }
  | { kind: "jump"; through: Extract<HostConnection, { kind: "ssh" }> };

/**
 * The way to a hypervisor's machines: through the hypervisor where that is remote; through the
 * network namespace where it is the embedded one, known by the socket in its URI.
 */
export function planRoute(connection: HostConnection, networkNamespace?: string): Route {
  if (connection.kind === "ssh") return { kind: "jump", through: connection };
  if (networkNamespace !== undefined && new URL(connection.uri).searchParams.has("socket"))
    return { kind: "namespace", path: networkNamespace };
  return { kind: "direct" };
}

/**
 * What OpenSSH runs to connect, or `undefined` when it connects by itself. `explain` makes it say on
 * standard error why a connection failed, and also that one succeeded.
 */
export function renderProxyCommand(
  route: Route,
  options: { explain?: boolean } = {},
): string | undefined {
  switch (route.kind) {
    case "direct":
      return undefined;
    case "namespace":
      return quoteAll([
        "nsenter",
        `--net=${route.path}`,
        "nc",
        ...(options.explain === true ? ["-v"] : []),
        "%h",
        "%p",
      ]);
    case "jump":
      // Not ProxyJump, which would read this file instead of the user's own for the hypervisor.
      return quoteAll(["ssh", "-W", "[%h]:%p", ...sshArguments(route.through)]);
  }
}

export interface SshFilePaths {
  knownHosts: string;
  identity: string;
}

/** A configuration file for `ssh -F` with one entry for each machine. */
export function renderSshConfig(
  machines: readonly { machine: SshMachine; route: Route }[],
  paths: SshFilePaths,
): string {
  const entries = machines.map(({ machine, route }) => {
    const proxy = renderProxyCommand(route);
    return [
      `Host ${machine.name}`,
      `  HostName ${machine.address}`,
      ...(machine.port === undefined ? [] : [`  Port ${String(machine.port)}`]),
      `  User ${machine.user}`,
      // Addresses come again on other hypervisors; names do not.
      `  HostKeyAlias ${machine.name}`,
      `  HostKeyAlgorithms ${machine.hostPublicKey.split(" ")[0] ?? ""}`,
      ...(proxy === undefined ? [] : [`  ProxyCommand ${proxy}`]),
      "",
    ].join("\n");
  });
  const common = [
    "Host *",
    `  IdentityFile ${quoteValue(paths.identity)}`,
    "  IdentitiesOnly yes",
    `  UserKnownHostsFile ${quoteValue(paths.knownHosts)}`,
    "  GlobalKnownHostsFile /dev/null",
    "  StrictHostKeyChecking yes",
    "  UpdateHostKeys no",
    "  CheckHostIP no",
    "",
  ].join("\n");
  return `# Written by Groundwork at every \`up\`: changes made here are lost.\n\n${[...entries, common].join("\n")}`;
}

/** The known_hosts file with exactly the machines' pinned keys. */
export function renderKnownHosts(machines: readonly SshMachine[]): string {
  return machines
    .map(({ name, hostPublicKey }) => {
      const [algorithm = "", key = ""] = hostPublicKey.split(" ");
      return `${name} ${algorithm} ${key}\n`;
    })
    .join("");
}

/** Quotes a path for ssh_config; `%` starts a token there. */
function quoteValue(path: string): string {
  return `"${path.replaceAll("%", "%%")}"`;
}

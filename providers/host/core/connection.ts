import { GroundworkError } from "../../errors.ts";

/** How commands reach a machine. */
export type HostConnection =
  | { kind: "local"; uri: string }
  | {
      kind: "ssh";
      uri: string;
      hostname: string;
      user?: string;
      port?: number;
      identityFile?: string;
      knownHostsFile?: string;
      /** A file for `ssh -F`, in which `hostname` is an entry. */
      configFile?: string;
    };

const example = "qemu:///system or qemu+ssh://root@hv1.example.org/system";

/**
 * Reads a libvirt connection URI.
 *
 * `qemu:///system` and `qemu+unix:///system?socket=PATH` are this machine; `qemu+ssh://` is reached
 * with OpenSSH (`keyfile` and `known_hosts` in the query are honoured, as libvirt does).
 *
 * @throws GroundworkError `bad-libvirt-uri` for anything else, and for `no_verify`, which would
 *   switch off the check of the host key, or a password.
 */
export function parseLibvirtUri(uri: string): HostConnection {
  const bad = (seen: string): GroundworkError =>
    new GroundworkError({
      code: "bad-libvirt-uri",
      message: `Cannot use the libvirt URI "${uri}": ${seen}.`,
      next: `Write one like ${example}.`,
    });
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  if (url === undefined) throw bad("it is not a URI");
  const [driver, transport] = url.protocol.replace(/:$/, "").split("+");
  if (driver !== "qemu") throw bad(`the driver is "${driver ?? ""}" and only qemu is supported`);
  if (transport === undefined || transport === "unix") {
    if (url.hostname !== "") throw bad("a host needs the transport ssh");
    if (url.pathname !== "/system") throw bad("its path is not /system");
    return { kind: "local", uri };
  }
  if (transport !== "ssh") throw bad(`the transport "${transport}" is not unix or ssh`);
  if (url.pathname !== "/system") throw bad("its path is not /system");
  for (const name of ["no_verify", "known_hosts_verify"])
    if (url.searchParams.has(name)) throw bad(`${name} would skip the check of the host key`);
  return sshConnection(uri, url, bad);
}

function sshConnection(
  uri: string,
  url: URL,
  bad: (seen: string) => GroundworkError,
): Extract<HostConnection, { kind: "ssh" }> {
  if (!/^[A-Za-z0-9][A-Za-z0-9.:_-]*$/.test(url.hostname.replace(/^\[|\]$/g, "")))
    throw bad("it names no valid host");
  if (url.password !== "") throw bad("passwords are not supported, only keys");
  const user = url.username;
  if (user !== "" && !/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(user))
    throw bad("the user name is not valid");
  const keyfile = url.searchParams.get("keyfile");
  const knownHosts = url.searchParams.get("known_hosts");
  return {
    kind: "ssh",
    uri,
    hostname: url.hostname.replace(/^\[|\]$/g, ""),
    ...(user !== "" && { user }),
    ...(url.port !== "" && { port: Number(url.port) }),
    ...(keyfile !== null && { identityFile: keyfile }),
    ...(knownHosts !== null && { knownHostsFile: knownHosts }),
  };
}

/**
 * Names the machine that a libvirt URI leads to: another user, key or socket leads to the same one.
 *
 * @throws GroundworkError as `parseLibvirtUri`.
 */
export function hostOf(uri: string): string {
  const connection = parseLibvirtUri(uri);
  if (connection.kind === "local") return "local";
  return `${connection.hostname}:${String(connection.port ?? 22)}`;
}

const hostExample = "ssh://deploy@192.168.122.250 or local:";

/**
 * Reads where a host is: `local:` is this machine, `ssh://[user@]host[:port]` is reached with OpenSSH.
 * In the query, `keyfile` and `known_hosts` name files, and `config` one for `ssh -F` with an entry
 * for the host. A libvirt URI is read as `parseLibvirtUri` does.
 *
 * @throws GroundworkError `bad-host-uri`, or as `parseLibvirtUri`.
 */
export function parseHostUri(uri: string): HostConnection {
  if (uri.startsWith("qemu")) return parseLibvirtUri(uri);
  if (uri === "local:") return { kind: "local", uri };
  const bad = (seen: string): GroundworkError =>
    new GroundworkError({
      code: "bad-host-uri",
      message: `Cannot use the host "${uri}": ${seen}.`,
      next: `Write one like ${hostExample}.`,
    });
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  if (url?.protocol !== "ssh:") throw bad("it is not an ssh:// URI");
  if (url.pathname !== "" && url.pathname !== "/") throw bad("it has a path");
  const queries = ["keyfile", "known_hosts", "config"];
  const unknown = [...url.searchParams.keys()].find((name) => !queries.includes(name));
  if (unknown !== undefined) throw bad(`"${unknown}" is none of ${queries.join(", ")}`);
  const config = url.searchParams.get("config");
  return { ...sshConnection(uri, url, bad), ...(config !== null && { configFile: config }) };
}

/** A path of which ssh expands nothing. */
function literal(path: string): string {
  return path.replaceAll("%", "%%");
}

/** The options that make `ssh` reach the host without ever asking, the host key always checked. */
export function sshArguments(
  connection: Extract<HostConnection, { kind: "ssh" }>,
  controlPath?: string,
): string[] {
  const option = (name: string, value: string): string[] => ["-o", `${name}=${value}`];
  const path = (value: string): string => `"${literal(value)}"`;
  return [
    ...(connection.configFile === undefined ? [] : ["-F", connection.configFile]),
    ...option("BatchMode", "yes"),
    ...option("StrictHostKeyChecking", "yes"),
    ...option("ConnectTimeout", "10"),
    ...option("ServerAliveInterval", "15"),
    ...option("ServerAliveCountMax", "4"),
    ...(controlPath === undefined
      ? []
      : [
          ...option("ControlMaster", "auto"),
          ...option("ControlPath", path(controlPath)),
          ...option("ControlPersist", "60"),
        ]),
    ...(connection.identityFile === undefined ? [] : ["-i", literal(connection.identityFile)]),
    ...(connection.knownHostsFile === undefined
      ? []
      : option("UserKnownHostsFile", path(connection.knownHostsFile))),
    ...(connection.port === undefined ? [] : ["-p", String(connection.port)]),
    ...(connection.user === undefined ? [] : ["-l", connection.user]),
    "--",
    connection.hostname,
  ];
}

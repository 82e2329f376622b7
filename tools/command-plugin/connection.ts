import { isObject, reveal } from "./values.ts";
import type { Value, Values } from "./values.ts";

/** How one SSH server is reached. */
export interface Hop {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  readonly privateKey?: string;
  readonly privateKeyPassword?: string;
  readonly agentSocketPath?: string;
  /** `ssh-ed25519 AAAA…`; without it, any host key is taken. */
  readonly hostKey?: string;
  /** How many failed attempts are borne; -1 bears any number. */
  readonly dialErrorLimit: number;
  /** For one attempt, in seconds; 0 waits without end. */
  readonly perDialTimeout: number;
}

export interface Connection extends Hop {
  readonly proxy?: Hop;
}

/** Reads a `connection` with the plugin's defaults. Throws for what cannot stand in an SSH configuration. */
export function parseConnection(value: Value | undefined): Connection {
  const plain = reveal(value);
  if (!isObject(plain)) throw new Error("connection: must be an object");
  const proxy = plain["proxy"];
  return {
    ...parseHop(plain, "connection"),
    ...(isObject(proxy) ? { proxy: parseHop(proxy, "connection.proxy") } : {}),
  };
}

function parseHop(values: Values, path: string): Hop {
  const number = (name: string, fallback: number): number => {
    const given = values[name] ?? fallback;
    if (typeof given === "number" && Number.isInteger(given)) return given;
    throw new Error(`${path}.${name}: must be a whole number`);
  };
  const text = (name: string): Record<string, string> => {
    const given = values[name];
    return typeof given === "string" && given !== "" ? { [name]: given } : {};
  };
  return {
    host: word(values["host"], `${path}.host`),
    port: number("port", 22),
    user: word(values["user"] ?? "root", `${path}.user`),
    dialErrorLimit: number("dialErrorLimit", 10),
    perDialTimeout: number("perDialTimeout", 15),
    ...text("password"),
    ...text("privateKey"),
    ...text("privateKeyPassword"),
    ...text("agentSocketPath"),
    ...text("hostKey"),
  };
}

function word(value: Value | undefined, path: string): string {
  if (typeof value === "string" && /^[^\s"'\\%-][^\s"'\\%]*$/.test(value)) return value;
  throw new Error(`${path}: must be one word without quotes, not ${JSON.stringify(value)}`);
}

/** The files that one hop needs beside its configuration, by name; all are secret. */
export function renderHopFiles(name: string, hop: Hop): Record<string, string> {
  const files: Record<string, string> = {};
  if (hop.privateKey !== undefined) files[`${name}-key`] = `${hop.privateKey.trimEnd()}\n`;
  if (hop.privateKeyPassword !== undefined) files[`${name}-passphrase`] = hop.privateKeyPassword;
  if (hop.password !== undefined) files[`${name}-password`] = hop.password;
  if (hop.hostKey !== undefined) files[`${name}-known-hosts`] = `${name} ${hop.hostKey.trim()}\n`;
  return files;
}

/**
 * An SSH configuration with the hosts `target` and, where there is one, `proxy`, on files in `folder`. It uses nothing
 * of the user's own configuration.
 */
export function renderSshConfig(
  connection: Connection,
  folder: string,
  sendEnvironment: readonly string[],
): string {
  const send = sendEnvironment.length === 0 ? [] : [`SendEnv ${sendEnvironment.join(" ")}`];
  const proxy = connection.proxy;
  if (proxy === undefined) return renderHop("target", connection, folder, send);
  const jump = `ProxyCommand env SSH_ASKPASS=${folder}/proxy-askpass ssh -F ${folder}/config -W [%h]:%p proxy`;
  return (
    renderHop("proxy", proxy, folder, []) + renderHop("target", connection, folder, [...send, jump])
  );
}

function renderHop(name: string, hop: Hop, folder: string, more: readonly string[]): string {
  const needsAnswers = hop.password !== undefined || hop.privateKeyPassword !== undefined;
  const hasKey = hop.privateKey !== undefined;
  const lines = [
    `HostName ${hop.host}`,
    `HostKeyAlias ${name}`,
    `Port ${String(hop.port)}`,
    `User ${hop.user}`,
    ...(hop.perDialTimeout > 0 ? [`ConnectTimeout ${String(hop.perDialTimeout)}`] : []),
    `IdentityFile ${hasKey ? `${folder}/${name}-key` : "none"}`,
    `IdentitiesOnly ${hasKey && hop.agentSocketPath === undefined ? "yes" : "no"}`,
    ...(hop.agentSocketPath === undefined ? [] : [`IdentityAgent "${hop.agentSocketPath}"`]),
    `UserKnownHostsFile ${hop.hostKey === undefined ? "/dev/null" : `${folder}/${name}-known-hosts`}`,
    `StrictHostKeyChecking ${hop.hostKey === undefined ? "no" : "yes"}`,
    "GlobalKnownHostsFile /dev/null",
    "UpdateHostKeys no",
    "PreferredAuthentications publickey,password,keyboard-interactive",
    "NumberOfPasswordPrompts 1",
    `BatchMode ${needsAnswers ? "no" : "yes"}`,
    "RequestTTY no",
    "ServerAliveInterval 15",
    "LogLevel ERROR",
    ...more,
  ];
  return [`Host ${name}`, ...lines.map((line) => `  ${line}`), ""].join("\n");
}

/** A program that answers ssh's questions for the secrets of one hop. */
export function renderAskpass(name: string, folder: string): string {
  return [
    "#!/bin/sh",
    'case "$1" in',
    `  *assphrase*) exec cat ${folder}/${name}-passphrase ;;`,
    `  *) exec cat ${folder}/${name}-password ;;`,
    "esac",
    "",
  ].join("\n");
}

/** True when one more attempt to connect is due after `failures` of them. */
export function mayRetry(failures: number, dialErrorLimit: number): boolean {
  return dialErrorLimit < 0 || failures <= dialErrorLimit;
}

/** How long to wait before the next attempt, in milliseconds. */
export function retryDelay(failures: number): number {
  return Math.min(5000, 250 * 1.5 ** (failures - 1));
}

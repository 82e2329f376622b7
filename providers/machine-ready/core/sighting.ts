import { createHash } from "node:crypto";
import { tail } from "../../errors.ts";
import { type CloudInitStatus, parseCloudInitStatus } from "./cloud-init-status.ts";

/** What one attempt to reach a machine came to. */
export type Sighting =
  /** Nothing answers at the address. */
  | { kind: "silent"; detail: string }
  /** The machine answers, but no SSH server yet. */
  | { kind: "refused" }
  /** An SSH server that does not serve us yet: starting, or closing connections while booting. */
  | { kind: "starting"; detail: string }
  /** Something shows another host key than the pinned one. */
  | { kind: "wrong-host-key"; fingerprint: string }
  /** The right machine refuses our key. */
  | { kind: "denied" }
  /** We are in, and the machine has no cloud-init. */
  | { kind: "no-cloud-init" }
  | { kind: "status"; status: CloudInitStatus };

/** Starts the lines in which the guest tells its boot stage. */
export const stageMark = "groundwork-stage ";

/**
 * What runs in the machine: waits until cloud-init has ended and prints its status, telling the boot
 * stage meanwhile. One process of cloud-init, for starting Python is slow on an emulated CPU. The
 * pause holds no output open, or the session would outlast it.
 */
export function renderGuestScript(): string {
  return [
    "command -v cloud-init >/dev/null || exit 127",
    `(while :; do sed -n 's/.*"stage": *"\\{0,1\\}\\([a-z-]*\\).*/${stageMark}\\1/p' /run/cloud-init/status.json 2>/dev/null; sleep 1 >/dev/null 2>&1; done) &`,
    "cloud-init status --wait --format json",
    "status=$?; kill $! 2>/dev/null; exit $status",
  ].join("\n");
}

/** Reads one line of the guest's output: the boot stage, where it tells one. */
export function parseStage(line: string): string | undefined {
  const stage = line.startsWith(stageMark) ? line.slice(stageMark.length).trim() : "";
  return stage === "" || stage === "null" ? undefined : stage;
}

/** Reads the result of `ssh` running the guest script. */
export function parseAttempt(result: {
  exitCode: number;
  stdout: string;
  stderr: string;
}): Sighting {
  const { exitCode, stderr } = result;
  const lines = result.stdout.split("\n").filter((line) => !line.startsWith(stageMark));
  const status = parseCloudInitStatus(lines.join("\n"));
  if (status !== undefined) return { kind: "status", status };
  if (exitCode === 127) return { kind: "no-cloud-init" };
  if (/HOST IDENTIFICATION HAS CHANGED|Host key verification failed/.test(stderr))
    return {
      kind: "wrong-host-key",
      fingerprint: /SHA256:[A-Za-z0-9+/]+/.exec(stderr)?.[0] ?? "an unknown one",
    };
  const offer = /no matching host key type found\. Their offer: (.*)/.exec(stderr)?.[1];
  if (offer !== undefined)
    return { kind: "wrong-host-key", fingerprint: `none of the pinned type, only ${offer.trim()}` };
  if (stderr.includes("Permission denied (") && !/booting up|nologin/i.test(stderr))
    return { kind: "denied" };
  if (/Connection refused/i.test(stderr)) return { kind: "refused" };
  const detail = tail(stderr.replaceAll("\r", ""), 1).trim();
  if (/No route to host|timed out|Network is unreachable|Host is down/i.test(stderr))
    return { kind: "silent", detail };
  return { kind: "starting", detail };
}

/** The fingerprint of a public key line, as OpenSSH prints it. */
export function fingerprint(publicKey: string): string {
  const blob = Buffer.from(publicKey.split(" ")[1] ?? "", "base64");
  return `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
}

import type { Sighting } from "./sighting.ts";

/** What has been seen so far. Times are milliseconds of one monotonic clock. */
export interface Watch {
  kind: Sighting["kind"];
  /** Since when nothing but `kind` was seen. */
  since: number;
}

export type Verdict =
  | { kind: "wait"; phase: string; delayMs: number }
  | { kind: "ready"; warnings: string[] }
  | { kind: "failed"; code: string; reason: string; next: string };

/** The longest pause between two attempts. */
const pauseMs = 1000;

export interface WatchContext {
  now: number;
  /**
   * How long a wrong host key or a refused user may be seen before it counts: an SSH server that came
   * with the image may answer for a moment, before cloud-init has put ours in place.
   */
  toleranceMs: number;
  expectedFingerprint: string;
  address: string;
  user: string;
}

/** Takes one more sighting into account. */
export function planWatch(
  before: Watch | undefined,
  sighting: Sighting,
  context: WatchContext,
): { watch: Watch; verdict: Verdict } {
  const { now } = context;
  const since = before?.kind === sighting.kind ? before.since : now;
  return {
    watch: { kind: sighting.kind, since },
    verdict: judge(sighting, now - since >= context.toleranceMs, context),
  };
}

function judge(
  sighting: Sighting,
  persists: boolean,
  { expectedFingerprint, address, user }: WatchContext,
): Verdict {
  const wait = (phase: string): Verdict => ({ kind: "wait", phase, delayMs: pauseMs });
  switch (sighting.kind) {
    case "silent":
      return wait(`no answer from ${address} yet`);
    case "refused":
      return wait("its network is up, SSH does not run yet");
    case "starting":
      return wait(`SSH is starting${sighting.detail === "" ? "" : ` (${sighting.detail})`}`);
    case "wrong-host-key":
      if (!persists) return wait("SSH shows another host key than the pinned one");
      return {
        kind: "failed",
        code: "wrong-host-key",
        reason: `what answers at ${address} is not this machine, or cloud-init did not install its host key: it shows ${sighting.fingerprint} and ${expectedFingerprint} is pinned`,
        next: "Find out what else has this address, or whether the image ignores cloud-init's ssh_keys.",
      };
    case "denied":
      if (!persists) return wait(`SSH does not know the user ${user} yet`);
      return {
        kind: "failed",
        code: "ssh-denied",
        reason: `SSH answers with the pinned host key and refuses user ${user} with the stack's key`,
        next: "See in the serial log whether cloud-init created the user with its authorized key.",
      };
    case "no-cloud-init":
      return {
        kind: "failed",
        code: "cloud-init-missing",
        reason: "the image has no cloud-init",
        next: "Use an image with cloud-init.",
      };
    case "status":
      return judgeStatus(sighting.status, wait);
  }
}

function judgeStatus(
  status: Extract<Sighting, { kind: "status" }>["status"],
  wait: (phase: string) => Verdict,
): Verdict {
  switch (status.state) {
    case "done":
      return { kind: "ready", warnings: status.warnings };
    case "waiting":
    case "running":
      return wait(`cloud-init is running${status.stage === undefined ? "" : ` (${status.stage})`}`);
    case "disabled":
      return {
        kind: "failed",
        code: "cloud-init-disabled",
        reason: "cloud-init is disabled in the image",
        next: "Use an image in which cloud-init runs, with a NoCloud seed.",
      };
    case "error":
      return {
        kind: "failed",
        code: "cloud-init-failed",
        reason: `cloud-init ended with an error: ${[...status.errors, ...status.warnings].join("; ") || "it names none"}`,
        next: "Mend the machine's cloudInit section (or the image) and run the same command again; /var/log/cloud-init.log in the machine has the details.",
      };
  }
}

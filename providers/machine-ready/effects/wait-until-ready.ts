import { setTimeout as sleep } from "node:timers/promises";
import { GroundworkError } from "../../errors.ts";
import { parseLibvirtUri } from "../../host/core/connection.ts";
import { fingerprint } from "../core/sighting.ts";
import { planRoute, type SshMachine } from "../core/ssh-config.ts";
import { planWatch, type Verdict, type Watch } from "../core/watch.ts";
import { runAttempt } from "./attempt.ts";
import { readDomainState, readSerialTail } from "./hypervisor.ts";

export interface WaitOptions {
  machine: SshMachine;
  /** The file for `ssh -F` that has the machine in it; see `ensureSshFiles`. */
  configFile: string;
  /** Path of the embedded hypervisor's network namespace, where there is one. */
  networkNamespace?: string | undefined;
  serialLogPath: string;
  timeoutSeconds: number;
  /** How long a wrong host key or a refused user is borne; default 30. */
  toleranceSeconds?: number;
  /** Called with a line about the progress every few seconds. */
  report: (line: string) => void;
}

/** How often progress is reported and libvirt is asked whether the machine still runs. */
const tickMs = 5000;

type Failure = Omit<Extract<Verdict, { kind: "failed" }>, "kind">;

/**
 * Waits until the machine answers over SSH with its pinned host key and cloud-init is done.
 *
 * @throws GroundworkError with the end of the serial log: `machine-not-ready` after the timeout,
 *   `machine-stopped`, `wrong-host-key`, `ssh-denied`, `cloud-init-failed`, `cloud-init-disabled`,
 *   `cloud-init-missing`.
 */
export async function waitUntilReady(options: WaitOptions): Promise<void> {
  const { machine, timeoutSeconds } = options;
  const route = planRoute(parseLibvirtUri(machine.hypervisorUri), options.networkNamespace);
  const started = performance.now();
  const seconds = (): string => `${String(Math.round((performance.now() - started) / 1000))} s`;
  const stop = new AbortController();
  const progress = { phase: `no answer from ${machine.address} yet` };
  let failure: Failure | undefined;
  const fail = (reason: Failure): void => {
    failure ??= reason;
    stop.abort();
  };

  const timeout = setTimeout(() => {
    fail({
      code: "machine-not-ready",
      reason: `it did not become ready within ${String(timeoutSeconds)} s; last seen: ${progress.phase}`,
      next: "See the serial log for what it waits for, or raise readyTimeoutSeconds.",
    });
  }, timeoutSeconds * 1000);
  const domain = watchDomain(options, fail);
  const ticker = setInterval(() => {
    options.report(`${machine.name}: ${seconds()}: ${progress.phase}`);
    void domain.check();
  }, tickMs);

  try {
    const target = { configFile: options.configFile, name: machine.name, route };
    const onStage = (stage: string): void => {
      progress.phase = `SSH answers, cloud-init is running (${stage})`;
    };
    let watch: Watch | undefined;
    const stopped = (): boolean => stop.signal.aborted;
    while (!stopped()) {
      const sighting = await runAttempt(target, { signal: stop.signal, onStage });
      if (stopped()) break;
      const next = planWatch(watch, sighting, {
        now: performance.now(),
        toleranceMs: (options.toleranceSeconds ?? 30) * 1000,
        expectedFingerprint: fingerprint(machine.hostPublicKey),
        address: machine.address,
        user: machine.user,
      });
      watch = next.watch;
      const { verdict } = next;
      if (verdict.kind === "ready") {
        for (const warning of verdict.warnings)
          options.report(`${machine.name}: warning: cloud-init: ${warning}`);
        options.report(`${machine.name}: ready after ${seconds()}`);
        return;
      }
      if (verdict.kind === "failed") fail(verdict);
      else {
        progress.phase = verdict.phase;
        await sleep(verdict.delayMs, undefined, { signal: stop.signal }).catch(() => undefined);
      }
    }
  } finally {
    clearTimeout(timeout);
    clearInterval(ticker);
  }
  if (failure !== undefined) throw await explain(options, failure);
}

/** Fails as soon as the domain has ended, its kernel has, or it has been paused for two looks. */
function watchDomain(
  { machine, serialLogPath }: WaitOptions,
  fail: (failure: Failure) => void,
): { check: () => Promise<void> } {
  let busy = false;
  let paused = false;
  const stopped = (text: string): void =>
    fail({
      code: "machine-stopped",
      reason: `its domain ${text}`,
      next: "See the serial log and the hypervisor's log of the domain for the reason, then run the same command again.",
    });
  return {
    check: async () => {
      if (busy) return;
      busy = true;
      const state = await readDomainState(machine.hypervisorUri, machine.name, serialLogPath);
      busy = false;
      if (state.kind === "missing") stopped("does not exist any more");
      if (state.kind === "dead") stopped(`does not run any more: ${state.text}`);
      if (state.kind === "panicked") stopped(`came to a kernel panic: ${state.text}`);
      if (state.kind === "paused" && paused) stopped(`does not run: ${state.text}`);
      paused = state.kind === "paused";
    },
  };
}

async function explain(options: WaitOptions, failure: Failure): Promise<GroundworkError> {
  const { machine, serialLogPath } = options;
  const log = await readSerialTail(machine.hypervisorUri, serialLogPath);
  const indented = log.replaceAll(/^/gm, "    ");
  return new GroundworkError({
    code: failure.code,
    message: `Machine "${machine.name}" at ${machine.address} is not ready: ${failure.reason}.\nThe end of its serial log ${serialLogPath}:\n${indented}\nNext:`,
    next: failure.next,
  });
}

/** What libvirt says of the domain; `unknown` when it could not be asked. */
export type DomainState =
  | { kind: "alive" }
  | { kind: "paused"; text: string }
  | { kind: "dead"; text: string }
  | { kind: "panicked"; text: string }
  | { kind: "missing" }
  | { kind: "unknown" };

/** Reads the result of `virsh domstate --reason`. */
export function parseDomainState(result: {
  exitCode: number;
  stdout: string;
  stderr: string;
}): DomainState {
  const text = result.stdout.trim();
  if (result.exitCode !== 0)
    return /Domain not found|failed to get domain/i.test(result.stderr)
      ? { kind: "missing" }
      : { kind: "unknown" };
  if (/^(shut off|crashed)/.test(text)) return { kind: "dead", text };
  if (/^(paused|pmsuspended)/.test(text)) return { kind: "paused", text };
  return { kind: "alive" };
}

/**
 * Reads the end of a serial log: a kernel that panicked and stays so has said it last. One that
 * booted anew since has said more.
 */
export function parsePanic(log: string): string | undefined {
  return /\[ end Kernel panic - not syncing: (.*?) *\]---$/.exec(renderSerialTail(log, 1))?.[1];
}

/** The readable lines of a serial log, without colours and other control sequences. */
export function renderSerialTail(log: string, lines: number): string {
  return log
    .replaceAll(/\x1b(?:\[[0-9;?=]*[A-Za-z]|[()][A-Za-z0-9]|[=>c])/g, "")
    .replaceAll(/[\x00-\x08\x0b-\x1f\x7f]/g, "")
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "")
    .slice(-lines)
    .join("\n");
}

/**
 * The one error that Groundwork throws on purpose: what failed, for which thing, where; what was
 * seen against what was expected; what to do next. `code` is stable and may be matched by scripts.
 */
export class GroundworkError extends Error {
  /** Stable, kebab-case identifier of the kind of failure, such as `image-larger-than-volume`. */
  readonly code: string;
  /** What the user can do about it: one sentence in the imperative. */
  readonly next: string;

  constructor(args: { code: string; message: string; next: string; cause?: unknown }) {
    super(
      `${args.message} ${args.next}`,
      args.cause === undefined ? undefined : { cause: args.cause },
    );
    this.name = "GroundworkError";
    this.code = args.code;
    this.next = args.next;
  }
}

/** Replaces every secret by `***`, so that a command's output can be shown. */
export function redact(text: string, secrets: readonly string[]): string {
  return secrets
    .filter((secret) => secret.length > 0)
    .reduce((shown, secret) => shown.split(secret).join("***"), text);
}

/** The last lines of a text, where the reason of a failure usually stands. */
export function tail(text: string, lines = 12): string {
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}

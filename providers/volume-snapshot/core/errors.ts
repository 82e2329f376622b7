import { GroundworkError } from "../../errors.ts";

/** Every `code` that snapshots' own errors carry. */
export type SnapshotCode =
  | "bad-snapshot-description"
  | "bad-snapshot-name"
  | "machine-in-use"
  | "snapshot-exists"
  | "snapshot-incomplete"
  | "snapshot-live-refused"
  | "snapshot-missing"
  | "thin-pool-full"
  | "volume-group-full"
  | "volume-missing"
  | "volume-not-ours"
  | "volume-reverting"
  | "volume-unfinished";

/** Why something cannot be done, and what the user can do about it. */
export interface Refusal {
  kind: "refusal";
  code: SnapshotCode;
  reason: string;
  next: string;
}

export function refuse(code: SnapshotCode, reason: string, next: string): Refusal {
  return { kind: "refusal", code, reason, next };
}

/** The error that a refusal becomes. */
export function snapshotError(
  { code, reason, next }: Omit<Refusal, "kind">,
  action: string,
): GroundworkError {
  return new GroundworkError({ code, message: `Cannot ${action}: ${reason}.`, next });
}

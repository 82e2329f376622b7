import { GroundworkError } from "../../errors.ts";

/** Every `code` that this provider's own errors carry. */
export type ImageVolumeCode =
  | "bad-cache-folder"
  | "bad-digest"
  | "bad-image"
  | "bad-probe-output"
  | "bad-sidecar"
  | "bad-volume-id"
  | "cache-copy-corrupt"
  | "cache-disk-full"
  | "cache-entry-corrupt"
  | "digest-mismatch"
  | "digest-unknown"
  | "fetch-failed"
  | "host-changed"
  | "host-lacks-tool"
  | "host-lacks-tools"
  | "host-needs-root"
  | "image-changed"
  | "image-forbidden"
  | "image-larger-than-volume"
  | "image-missing"
  | "image-unsealable"
  | "image-without-checksum"
  | "object-store-credentials"
  | "object-store-failed"
  | "object-store-unreachable"
  | "thin-metadata-full"
  | "thin-pool-full"
  | "thin-pool-missing"
  | "thin-pool-unfit"
  | "upload-failed"
  | "volume-group-full"
  | "volume-group-missing"
  | "volume-in-use"
  | "volume-locked"
  | "volume-not-ours"
  | "volume-provisioning-differs"
  | "volume-reverting"
  | "volume-shrink-refused";

/** An error of this provider: what failed and what was seen, then what to do next. */
export function imageError(
  code: ImageVolumeCode,
  message: string,
  rest: { next: string; cause?: unknown },
): GroundworkError {
  return new GroundworkError({ code, message, ...rest });
}

/** The error that a plan's refusal becomes when its turn comes. */
export function refusalError(
  refusal: { code: ImageVolumeCode; reason: string; next: string },
  action: string,
  id: string,
  hostName: string,
): GroundworkError {
  const { code, reason, next } = refusal;
  return imageError(code, `Cannot ${action} volume "${id}" on ${hostName}: ${reason}.`, { next });
}

/** Whether something thrown is a `GroundworkError` with one of these codes. */
export function hasCode(error: unknown, ...codes: readonly string[]): error is GroundworkError {
  return error instanceof GroundworkError && codes.includes(error.code);
}

/** Bytes as people read them: `1.5 GiB`, `190 MiB`, `512 bytes`. */
export function formatBytes(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  const digits = unit === 0 || value >= 100 || Number.isInteger(value) ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit] ?? ""}`;
}

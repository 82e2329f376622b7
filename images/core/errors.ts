import { GroundworkError } from "../../providers/errors.ts";

/** Every `code` that the making and publishing of images gives its errors. */
export type ImageCode =
  | "disk-full"
  | "image-build-failed"
  | "image-checksum-mismatch"
  | "image-compact-failed"
  | "image-contradictory"
  | "image-digest-mismatch"
  | "image-download-failed"
  | "image-exists"
  | "image-file-unusable"
  | "image-missing"
  | "image-packed"
  | "image-sums-unusable"
  | "image-tools-missing"
  | "image-too-small"
  | "image-without-checksum"
  | "mirror-unreachable"
  | "object-store-failed"
  | "object-store-full"
  | "object-store-refused"
  | "object-store-unreachable"
  | "package-not-found"
  | "release-unknown";

/** An error of this part: what failed and what was seen, then what to do next. */
export function imageError(
  code: ImageCode,
  message: string,
  rest: { next: string; cause?: unknown },
): GroundworkError {
  return new GroundworkError({ code, message, ...rest });
}

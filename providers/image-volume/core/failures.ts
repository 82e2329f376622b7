import type { GroundworkError } from "../../errors.ts";
import { imageError } from "./errors.ts";

/** What a script was about, for its errors. */
export interface ScriptSubject {
  /** Such as `populate volume "lab/vm1-root"`. */
  purpose: string;
  hostName: string;
  /** The image as bucket and key, without anything secret. */
  image?: string;
  digest?: string;
}

/** The error behind a `@fail CODE DETAIL` line of a script. */
export function buildFailure(
  failure: { code: string; detail: string },
  subject: ScriptSubject,
): GroundworkError {
  const detail = failure.detail.trim();
  const start = `Cannot ${subject.purpose} on ${subject.hostName}:`;
  const image = `image ${subject.image ?? ""}`;
  switch (failure.code) {
    case "digest-mismatch":
      return imageError(
        failure.code,
        `${start} the content of ${image} has the digest ${detail} and its checksum says ${subject.digest ?? ""}.`,
        { next: "Upload the image and its .sha256 again, or correct sha256 in the configuration." },
      );
    case "cache-entry-corrupt":
      return imageError(
        failure.code,
        `${start} the cached ${image} had changed: its digest is ${detail} and should be ${subject.digest ?? ""}. The entry is set aside as *.corrupt.`,
        { next: "Run the same command again, and check that host's disk." },
      );
    case "cache-copy-corrupt":
      return imageError(
        failure.code,
        `${start} the copy of the cached ${image} had changed: its digest is ${detail}. It is removed, and the entry itself is used.`,
        { next: "Run the same command again, and check that host's disk." },
      );
    case "image-changed":
      return imageError(
        failure.code,
        `${start} ${image} was replaced while it was being fetched.`,
        {
          next: "Run the same command again.",
        },
      );
    case "image-missing":
      return imageError(failure.code, `${start} ${image} is not in the object store (HTTP 404).`, {
        next: "Upload it, or correct its bucket and key.",
      });
    case "image-forbidden":
      return imageError(
        failure.code,
        `${start} the object store refuses to hand out ${image} (HTTP ${detail}).`,
        { next: "Check the credentials' rights, and that the clocks of both machines are right." },
      );
    case "cache-disk-full":
      return imageError(failure.code, `${start} there is no room for ${image} (${detail}).`, {
        next: "Free space on that host, or move the cache with GROUNDWORK_IMAGE_CACHE.",
      });
    case "fetch-failed":
      return imageError(failure.code, `${start} ${image} could not be fetched (${detail}).`, {
        next: "Check that this host reaches the object store's endpoint, then run the same command again.",
      });
    case "host-lacks-tool":
      return imageError(
        failure.code,
        `${start} ${image} is packed with ${detail}, which is missing there.`,
        {
          next: `Install it: apt install ${detail === "xz" ? "xz-utils" : detail}.`,
        },
      );
    case "thin-pool-full":
      return imageError(failure.code, `${start} there is no room in thin pool ${detail}.`, {
        next: "Extend the pool with lvextend, or remove volumes from it.",
      });
    case "thin-metadata-full":
      return imageError(
        failure.code,
        `${start} there is no room in the metadata of thin pool ${detail}.`,
        { next: "Extend it with `lvextend --poolmetadatasize`, or remove volumes from the pool." },
      );
    case "thin-pool-unfit":
      return imageError(failure.code, `${start} it cannot write into thin pool ${detail}.`, {
        next: "See lvmthin(7), repair the pool, then run the same command again.",
      });
    case "upload-failed":
      return imageError(failure.code, `${start} ${image} could not be uploaded (${detail}).`, {
        next: "Check that this host reaches the object store's endpoint and that the store has room, then run the same command again.",
      });
    case "image-unsealable":
      return imageError(failure.code, `${start} ${detail}.`, {
        next: "Make a machine from a base image instead, or clean the machine yourself and back it up.",
      });
    case "volume-in-use":
      return imageError(failure.code, `${start} ${detail} has it open.`, {
        next: "Shut that down, then run the same command again.",
      });
    case "volume-locked":
      return imageError(failure.code, `${start} ${detail}.`, {
        next: "Wait for the other run to end, then run the same command again.",
      });
    default:
      return imageError(
        "host-changed",
        `${start} something else than expected was found (${detail === "" ? "nothing" : detail}).`,
        { next: "Run the same command again." },
      );
  }
}

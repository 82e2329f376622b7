import { createHash } from "node:crypto";
import type { BaseImageFormat } from "../../providers/image-volume/core/base-image.ts";
import type { DebianRelease } from "./debian.ts";
import { imageError } from "./errors.ts";
import { showUrl } from "./url.ts";

/** A file that is put into a built image. */
export interface ImageFile {
  /** A file of this machine, or an http(s) URL, which needs `sha256`. */
  source: string;
  /** What it must be, 64 hexadecimal digits. */
  sha256?: string | undefined;
  /** Its absolute path in the image. */
  path: string;
  /** Its permissions in octal digits, such as `0755`; it belongs to root. */
  mode: string;
}

/** A file whose content is on this machine and known. */
export interface ResolvedFile {
  /** Where it lies here. Its place does not decide the image, only its content. */
  local: string;
  sha256: string;
  bytes: number;
  path: string;
  mode: string;
}

/** An image as the configuration describes it. With neither `build` nor `url` it must exist. */
export interface ImageRequest {
  /** The object is `<name>.<format>`. */
  name: string;
  /** Default `qcow2`. */
  format?: BaseImageFormat | undefined;
  build?:
    | {
        /** Of Debian; by default that of this machine. */
        release?: DebianRelease | undefined;
        sizeGiB: number;
        packages: readonly string[];
        files?: readonly ImageFile[] | undefined;
      }
    | undefined;
  /** Where the image is downloaded from; needs `sha256` or `sha256SumsUrl`. */
  url?: string | undefined;
  /** Of the image, 64 hexadecimal digits. */
  sha256?: string | undefined;
  /** A file with lines `<checksum>  <file name>`, SHA-256 or SHA-512, that names the image. */
  sha256SumsUrl?: string | undefined;
}

/** What has to happen before the image is in the store. */
export type ImagePlan =
  | {
      kind: "build";
      release?: DebianRelease;
      sizeGiB: number;
      packages: readonly string[];
      files: readonly ImageFile[];
      sha256?: string;
    }
  | { kind: "fetch"; url: string; sha256?: string; sumsUrl?: string }
  | { kind: "existing"; sha256?: string };

/**
 * Decides where an image comes from.
 *
 * @throws GroundworkError `image-without-checksum`, `image-contradictory`
 */
export function planImage(image: ImageRequest): ImagePlan {
  const { name, build, url, sha256SumsUrl } = image;
  const pinned = image.sha256 === undefined ? {} : { sha256: image.sha256.toLowerCase() };
  if (build !== undefined && url !== undefined)
    throw imageError("image-contradictory", `Image "${name}" has both build and url.`, {
      next: "Keep the one that it shall come from.",
    });
  if (build !== undefined)
    return {
      kind: "build",
      ...(build.release !== undefined && { release: build.release }),
      sizeGiB: build.sizeGiB,
      packages: [...new Set(build.packages)].sort(),
      files: build.files ?? [],
      ...pinned,
    };
  if (url === undefined) return { kind: "existing", ...pinned };
  if (image.sha256 === undefined && sha256SumsUrl === undefined)
    throw imageError(
      "image-without-checksum",
      `Cannot take image "${name}" from ${showUrl(url)}: nothing says what its checksum must be.`,
      { next: "Set sha256, or sha256SumsUrl to the list that its publisher keeps beside it." },
    );
  return {
    kind: "fetch",
    url,
    ...pinned,
    ...(sha256SumsUrl !== undefined && { sumsUrl: sha256SumsUrl }),
  };
}

/** All that decides what a built image contains, but for the versions that the mirror has today. */
export interface BuildInputs {
  /** SHA-256 over the files of the recipe. */
  recipeDigest: string;
  /** Such as `bookworm`. */
  release: string;
  /** Lines of sources.list; none means Debian's own mirrors. */
  sources: readonly string[];
  sizeGiB: number;
  packages: readonly string[];
  files: readonly ResolvedFile[];
  /** SOURCE_DATE_EPOCH, where the environment sets it. */
  epoch?: number;
}

/** Identifies a built image: the same inputs, whatever their order, give the same 64 digits. */
export function buildKey(inputs: BuildInputs): string {
  const { recipeDigest, release, sources, sizeGiB, packages, files, epoch } = inputs;
  const canonical = [
    ...["groundwork-image-1", recipeDigest, release, sizeGiB, epoch ?? null],
    ...[[...new Set(sources)].sort(), [...new Set(packages)].sort()],
    ...files.map(({ path, mode, sha256 }) => [path, mode, sha256]).sort(),
  ];
  return createHash("sha256").update(JSON.stringify(canonical)).digest("hex");
}

/** A file of an image in the cache, digest known. */
export interface LocalImage {
  path: string;
  /** SHA-256. */
  digest: string;
  bytes: number;
}

/** What the store has under an image's name; a part is absent where the store has it not. */
export interface PublishedImage {
  object?: { bytes: number; digest?: string };
  /** The digest that the `.sha256` beside the object tells. */
  sidecar?: string;
}

export type PublishStep = "upload" | "write-sidecar";

/**
 * What is left to do until the store has the image and, written after it, its checksum. The digest
 * that we keep with the object tells an upload that a crash cut off from its checksum.
 */
export function planPublication(
  local: Pick<LocalImage, "digest" | "bytes">,
  published: PublishedImage,
): PublishStep[] {
  const { object, sidecar } = published;
  const same = object?.bytes === local.bytes && object.digest === local.digest;
  if (!same) return ["upload", "write-sidecar"];
  return sidecar === local.digest ? [] : ["write-sidecar"];
}

/** A line as `sha256sum` writes it. */
export function renderSidecar(digest: string, fileName: string): string {
  return `${digest}  ${fileName}\n`;
}

/** Bytes of disk that a build needs at its peak: two copies of the root file system, and the image. */
export function bytesToBuild({
  sizeGiB,
  packages,
  files,
}: {
  sizeGiB: number;
  packages: readonly string[];
  files: readonly Pick<ResolvedFile, "bytes">[];
}): number {
  const gib = 2 ** 30;
  // Without further packages 1.6 GiB were measured; with them, at most all of the disk, thrice.
  const system = packages.length === 0 ? 2 * gib : Math.min(3 * sizeGiB + 1, 12) * gib;
  // In the root folder, in the file system made from it, and in the image.
  return system + 3 * files.reduce((sum, { bytes }) => sum + bytes, 0);
}

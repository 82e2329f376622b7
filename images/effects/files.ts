import { createWriteStream } from "node:fs";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { imageError } from "../core/errors.ts";
import type { ImageFile, ResolvedFile } from "../core/plan.ts";
import { showUrl } from "../core/url.ts";
import { hashFile } from "./cache.ts";
import { openUrl, reasonOf, sweepParts } from "./download.ts";

/**
 * Finds the content of every file that an image is to have: local ones are hashed, those with a URL are
 * downloaded once into `<folder>/files`, and each is held against its `sha256`.
 *
 * @throws GroundworkError `image-file-unusable`
 */
export async function resolveFiles(
  image: string,
  files: readonly ImageFile[],
  folder: string,
  report: (line: string) => void,
): Promise<ResolvedFile[]> {
  const resolved: ResolvedFile[] = [];
  for (const file of files) {
    const local = isUrl(file.source)
      ? await ensureDownloaded(image, file, folder, report)
      : path.resolve(file.source);
    const { sha256, bytes } = await measure(image, file, local);
    if (file.sha256 !== undefined && file.sha256.toLowerCase() !== sha256)
      throw unusable(image, file, `it has sha256 ${sha256} and must have ${file.sha256}`);
    resolved.push({ local, sha256, bytes, path: file.path, mode: file.mode });
  }
  return resolved;
}

const isUrl = (source: string): boolean => /^https?:/.test(source);

function unusable(image: string, file: ImageFile, seen: string, cause?: unknown): Error {
  return imageError(
    "image-file-unusable",
    `Cannot put ${isUrl(file.source) ? showUrl(file.source) : file.source} into image "${image}" as ${file.path}: ${seen}.`,
    { next: "Correct build.files of the image, then run the same command again.", cause },
  );
}

async function measure(
  image: string,
  file: ImageFile,
  local: string,
): Promise<{ sha256: string; bytes: number }> {
  try {
    const stat = await fs.stat(local);
    if (!stat.isFile()) throw unusable(image, file, `${local} is no file`);
    return { sha256: await hashFile(local), bytes: stat.size };
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "image-file-unusable") throw cause;
    throw unusable(image, file, message, cause);
  }
}

/** The file gets its name, which is its checksum, when all of it is there; it is verified afterwards, each time. */
async function ensureDownloaded(
  image: string,
  file: ImageFile,
  folder: string,
  report: (line: string) => void,
): Promise<string> {
  if (file.sha256 === undefined) throw unusable(image, file, "a URL needs sha256");
  const target = path.join(folder, "files", file.sha256.toLowerCase());
  const present = await fs.stat(target).catch(() => undefined);
  if (present !== undefined && (await hashFile(target)) === path.basename(target)) return target;
  report(`${image}: downloading ${showUrl(file.source)}`);
  const part = `${target}.${String(process.pid)}.part`;
  await sweepParts(path.dirname(target));
  try {
    const response = await openUrl(file.source);
    await pipeline(Readable.from(response.body ?? []), createWriteStream(part, { flush: true }));
    await fs.rename(part, target);
    return target;
  } catch (cause) {
    throw unusable(image, file, reasonOf(cause), cause);
  } finally {
    await fs.rm(part, { force: true });
  }
}

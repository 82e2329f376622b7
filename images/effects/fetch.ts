import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { formatBytes } from "../../providers/image-volume/core/errors.ts";
import { objectOf } from "../../providers/image-volume/core/base-image.ts";
import { checkImage, formatOf } from "../../providers/image-volume/core/image-format.ts";
import { headerBytes } from "../../providers/image-volume/core/qcow2.ts";
import { type Checksum, fileNameOf, parseChecksums } from "../core/checksums.ts";
import { imageError } from "../core/errors.ts";
import { type ImagePlan, type ImageRequest, type LocalImage, renderSidecar } from "../core/plan.ts";
import { showUrl } from "../core/url.ts";
import { imageFolder, readEntry, requireRoom } from "./cache.ts";
import { openUrl, reasonOf, sweepParts } from "./download.ts";

type FetchPlan = Extract<ImagePlan, { kind: "fetch" }>;

const listBytes = 4 * 1024 * 1024;

/**
 * Downloads an image into the cache, unless one of the same checksum is there. It gets its name only
 * after its checksum and its first bytes were found good.
 *
 * @throws GroundworkError `image-download-failed`, `image-sums-unusable`, `image-checksum-mismatch`,
 *   `bad-image`, `disk-full`
 */
export async function ensureFetched(
  image: ImageRequest,
  plan: FetchPlan,
  cache: string,
  report: (line: string) => void,
): Promise<LocalImage> {
  const { name } = image;
  const checksum = await readChecksum(name, plan);
  const folder = imageFolder(cache);
  const key = `fetched-${checksum.digest.slice(0, 64)}`;
  const present = await readEntry(folder, key);
  if (present !== undefined) return present;

  await sweepParts(folder);
  const response = await open(name, plan.url);
  const bytes = Number(response.headers.get("content-length") ?? "0");
  const free = await requireRoom(folder, bytes, `download image "${name}"`);
  report(
    `${name}: downloading ${bytes > 0 ? formatBytes(bytes) : "an image of unknown size"} from ${showUrl(plan.url)} (${formatBytes(free)} are free)`,
  );
  const file = path.join(folder, `${key}.qcow2`);
  const part = `${file}.${String(process.pid)}.part`;
  try {
    const sha256 = await receive(name, response, { part, checksum, bytes, url: plan.url, report });
    await checkHeader(image, part);
    await fs.writeFile(`${part}.sha256`, renderSidecar(sha256, path.basename(file)));
    await fs.rename(part, file);
    await fs.rename(`${part}.sha256`, `${file}.sha256`);
    return { path: file, digest: sha256, bytes: (await fs.stat(file)).size };
  } finally {
    await fs.rm(part, { force: true });
    await fs.rm(`${part}.sha256`, { force: true });
  }
}

async function readChecksum(name: string, plan: FetchPlan): Promise<Checksum> {
  if (plan.sumsUrl === undefined) return { algorithm: "sha256", digest: plan.sha256 ?? "" };
  const listed = await readList(name, plan.sumsUrl);
  const checksum = parseChecksums(listed, fileNameOf(plan.url), showUrl(plan.sumsUrl));
  if (plan.sha256 === undefined || checksum.algorithm !== "sha256") return checksum;
  if (plan.sha256 !== checksum.digest)
    throw imageError(
      "image-checksum-mismatch",
      `Image "${name}" is to have sha256 ${plan.sha256}, and ${showUrl(plan.sumsUrl)} says ${checksum.digest}.`,
      { next: "Correct sha256, or take the one that the publisher vouches for." },
    );
  return checksum;
}

async function readList(name: string, url: string): Promise<string> {
  const response = await open(name, url);
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > listBytes)
      throw imageError(
        "image-sums-unusable",
        `${showUrl(url)} is longer than ${formatBytes(listBytes)}.`,
        { next: "Correct sha256SumsUrl." },
      );
  }
  return Buffer.concat(chunks).toString("utf8");
}

function downloadError(name: string, url: string, seen: string, cause?: unknown): Error {
  return imageError(
    "image-download-failed",
    `Cannot take image "${name}" from ${showUrl(url)}: ${seen}.`,
    {
      next: "Check the URL and that this machine reaches it, then run the same command again.",
      cause,
    },
  );
}

async function open(name: string, url: string): Promise<Response> {
  try {
    return await openUrl(url);
  } catch (cause) {
    throw downloadError(name, url, reasonOf(cause), cause);
  }
}

/** Writes the download and gives its SHA-256, the checksum verified. */
async function receive(
  name: string,
  response: Response,
  {
    part,
    checksum,
    bytes,
    url,
    report,
  }: {
    part: string;
    checksum: Checksum;
    bytes: number;
    url: string;
    report: (line: string) => void;
  },
): Promise<string> {
  const sha256 = createHash("sha256");
  const wanted = createHash(checksum.algorithm);
  let [done, last] = [0, performance.now()];
  const count = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      sha256.update(chunk);
      wanted.update(chunk);
      done += chunk.length;
      if (performance.now() - last >= 2000) {
        last = performance.now();
        report(
          `${name}: downloaded ${formatBytes(done)}${bytes > 0 ? ` of ${formatBytes(bytes)}` : ""}`,
        );
      }
      next(null, chunk);
    },
  });
  try {
    await pipeline(
      Readable.from(response.body ?? []),
      count,
      createWriteStream(part, { flush: true }),
    );
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOSPC")
      throw imageError(
        "disk-full",
        `Cannot download image "${name}": the disk of ${part} is full.`,
        {
          next: "Make room, or set GROUNDWORK_CACHE to a folder on another disk.",
          cause,
        },
      );
    throw downloadError(name, url, `${reasonOf(cause)} after ${formatBytes(done)}`, cause);
  }
  const digest = wanted.digest("hex");
  if (digest === checksum.digest) return sha256.digest("hex");
  throw imageError(
    "image-checksum-mismatch",
    `Image "${name}" from ${showUrl(url)} has ${checksum.algorithm} ${digest}, and it must be ${checksum.digest}. It was discarded.`,
    {
      next: "Correct the checksum if the publisher changed the image; otherwise do not trust this source.",
    },
  );
}

/** An image that would read other files of the machine that uses it is refused, and what is no image. */
export async function checkHeader(image: ImageRequest, file: string): Promise<void> {
  const handle = await fs.open(file);
  try {
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(Math.min(headerBytes, size));
    await handle.read(buffer, 0, buffer.length, 0);
    checkImage(buffer, size, formatOf(objectOf(image)), `image "${image.name}"`);
  } finally {
    await handle.close();
  }
}

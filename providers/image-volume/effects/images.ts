import { count, inSpan } from "../../telemetry/effects/telemetry.ts";
import type { ImageReference } from "../core/arguments.ts";
import { renderEnsureEntry } from "../core/commands.ts";
import { imageError } from "../core/errors.ts";
import { checkDisk, checkImage, formatOf, isPlainQcow2 } from "../core/image-format.ts";
import { parseCacheName } from "../core/layout.ts";
import { parseStepOutcomes, type StepOutcome } from "../core/outcome.ts";
import type { ImageFile } from "../core/populate.ts";
import { inflatesAs, parseQcow2Header } from "../core/qcow2.ts";
import type { Encoding } from "../core/transcode.ts";
import { readCacheLayout, runScript } from "./hosts.ts";
import {
  describeImage,
  type ImageObject,
  openObjectStore,
  readCredentials,
} from "./object-store.ts";
import { progressReporter } from "./progress.ts";

/** How long an answer of the object store serves other volumes too. */
const answerSeconds = 5;
const answers = new Map<string, { at: number; answer: Promise<unknown> }>();

/** Shares one question and its answer between volumes that ask within a few seconds. */
export function shared<Answer>(
  kind: string,
  image: ImageReference,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  const key = JSON.stringify([kind, image.endpoint, image.bucket, image.key]);
  const known = answers.get(key);
  if (known !== undefined && Date.now() - known.at < answerSeconds * 1000)
    return known.answer as Promise<Answer>;
  const answer = ask();
  answers.set(key, { at: Date.now(), answer });
  answer.catch(() => answers.delete(key)); // whoever waits for it reports the failure
  return answer;
}

/** The object store, with the credentials of the environment. */
export function store(): ReturnType<typeof openObjectStore> {
  return openObjectStore(readCredentials(process.env));
}

/** The image as the store describes it. */
export function readImageObject(image: ImageReference): Promise<ImageObject> {
  return shared("object", image, () => store().readImage(image));
}

/** Looks at an image's first bytes; see `checkImage`. */
export function readHeader(
  header: Uint8Array,
  fileBytes: number,
  image: ImageReference,
): { virtualBytes?: number } {
  return checkImage(header, fileBytes, formatOf(image), `image ${describeImage(image)}`);
}

/** A verified image in a host's cache. */
export interface CachedImage extends ImageFile {
  /** The length of the entry itself, which is not that of a copy. */
  cachedBytes: number;
  /** What fetching it took; empty when it was there, or another volume's run fetched it. */
  steps: StepOutcome[];
}

const ensuring = new Map<string, Promise<CachedImage>>();

/**
 * Makes sure that the host's cache holds the image, and reads its header there before any tool does.
 * Runs of this process that want the same image on the same host wait for one fetch; runs of other
 * processes wait for a lock on the host.
 *
 * @param cachedBytes the length of the entry that was seen in the cache; none: fetch it
 */
export function ensureEntry(args: {
  uri: string;
  image: ImageReference;
  digest: string;
  cachedBytes?: number;
  /** How the host keeps its entries; default as they came. */
  encoding?: Encoding;
  /** For progress lines. */
  volumeName: string;
}): Promise<CachedImage> {
  const key = `${args.digest} ${args.uri}`;
  const running = ensuring.get(key);
  if (running !== undefined) return running.then((image) => ({ ...image, steps: [] }));
  const attributes = { "groundwork.image": describeImage(args.image) };
  const started = inSpan("fetch", attributes, () => runEnsureEntry(args)).finally(() =>
    ensuring.delete(key),
  );
  ensuring.set(key, started);
  return started;
}

async function runEnsureEntry(args: Parameters<typeof ensureEntry>[0]): Promise<CachedImage> {
  const { uri, image, digest } = args;
  const cache = readCacheLayout();
  const format = formatOf(image);
  const source = args.cachedBytes === undefined ? await readSource(image) : undefined;
  const bytes = source?.bytes ?? args.cachedBytes ?? 0;
  const values = await runScript(
    uri,
    renderEnsureEntry({ cache, digest, bytes, format, ...(source && { source }) }),
    {
      subject: {
        purpose: source === undefined ? "read the cached image" : "fetch the image",
        image: describeImage(image),
        digest,
      },
      timeoutSeconds: 4 * 3600,
      onLine: progressReporter(args.volumeName, { fetch: bytes }),
      secrets: source?.secrets ?? [],
    },
  );
  const header = Buffer.from(values.get("header") ?? "", "base64");
  const unpacked = Number(values.get("unpacked") ?? Number.MAX_SAFE_INTEGER);
  const packed = format.packing !== "none";
  const name = `image ${describeImage(image)}`;
  const encoded = parseCacheName(values.get("encoded") ?? "");
  const file =
    encoded?.kind === "encoded" && encoded.digest === digest
      ? { entry: `${cache.folder}/${values.get("encoded") ?? ""}`, ...encoded }
      : { entry: cache.entry(digest, bytes), own: digest, bytes };
  const fileBytes = packed ? unpacked : file.bytes;
  const virtualBytes = checkDisk(header, fileBytes, format.disk, name);
  const fetched = values.get("fetched") === "yes";
  const verify = !fetched || file.own !== digest;
  countFetch(fetched ? "miss" : "hit", fetched ? bytes : 0);
  const steps = parseStepOutcomes(values.get("steps"));
  return {
    ...{
      digest,
      cachedBytes: bytes,
      entry: file.entry,
      contentDigest: file.own,
      fileBytes: file.bytes,
    },
    ...compressionAt(header, fileBytes, args.image, args.encoding),
    ...{ format, virtualBytes, verify, steps },
    ...(packed && format.disk === "raw" && { unpackedBytes: unpacked }),
  };
}

/** What follows from how an image is compressed. */
function compressionAt(
  header: Uint8Array,
  fileBytes: number,
  image: ImageReference,
  encoding: Encoding | undefined,
): Pick<ImageFile, "inflatable" | "transcode"> {
  if (!isPlainQcow2(formatOf(image))) return { inflatable: false, transcode: false };
  const parsed = parseQcow2Header(header, fileBytes, `image ${describeImage(image)}`);
  return {
    inflatable: inflatesAs(parsed),
    // A copy that is compressed with zstd decodes faster.
    transcode: encoding === "zstd" && parsed.compression === "zlib",
  };
}

/**
 * The image as it will be in a host's cache, for a script that reads it while it is fetched; undefined
 * for one that has to be there as a whole. What its first bytes were is checked once more there.
 */
export async function readFollowed(args: {
  image: ImageReference;
  digest: string;
  encoding?: Encoding;
}): Promise<CachedImage | undefined> {
  const { image, digest, encoding } = args;
  const format = formatOf(image);
  if (!isPlainQcow2(format)) return undefined;
  const { bytes, header } = await readImageObject(image);
  const cache = readCacheLayout();
  return {
    ...{ digest, cachedBytes: bytes, entry: cache.entry(digest, bytes), contentDigest: digest },
    ...{ fileBytes: bytes, format, verify: false, steps: [] },
    virtualBytes: parseQcow2Header(header, bytes, `image ${describeImage(image)}`).virtualBytes,
    ...compressionAt(header, bytes, image, encoding),
    follow: { part: cache.partial(digest), header },
  };
}

/** Runs what needs the image beside its fetch; when that fails, there is nothing to wait for. */
export async function besides<Result>(
  fetch: (() => Promise<CachedImage>) | undefined,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<[CachedImage | undefined, Result]> {
  const ending = new AbortController();
  const fetching = fetch?.().catch((error: unknown) => {
    ending.abort();
    throw error;
  });
  const [fetched, worked] = await Promise.allSettled([fetching, work(ending.signal)]);
  if (fetched.status === "rejected") throw fetched.reason;
  if (worked.status === "rejected") throw worked.reason;
  return [fetched.value, worked.value];
}

function countFetch(result: "hit" | "miss", bytes: number): void {
  const attributes = { "groundwork.cache.result": result };
  count({ name: "groundwork.cache.lookups", unit: "{lookup}", value: 1, attributes });
  count({ name: "groundwork.fetched", unit: "By", value: bytes });
}

async function readSource(
  image: ImageReference,
): Promise<{ url: string; etag: string; bytes: number; secrets: string[] }> {
  const credentials = readCredentials(process.env);
  const { bytes, etag } = await readImageObject(image);
  if (bytes === 0)
    throw imageError("bad-image", `Cannot use image ${describeImage(image)}: it is empty.`, {
      next: "Upload it again.",
    });
  const url = await openObjectStore(credentials).presign(image);
  const signature = new URL(url).searchParams.get("X-Amz-Signature") ?? url;
  return { url, etag, bytes, secrets: [url, signature, credentials.secretKey] };
}

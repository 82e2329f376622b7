import * as fs from "node:fs";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import * as minio from "minio";
import { endpointOptions } from "../../providers/image-volume/core/endpoint.ts";
import { imageError } from "../core/errors.ts";
import { type LocalImage, type PublishedImage, renderSidecar } from "../core/plan.ts";

/** Where images are published. */
export interface Store {
  /** Such as `http://127.0.0.1:9000`. */
  endpoint: string;
  bucket: string;
  region: string;
  credentials: { accessKey: string; secretKey: string };
}

/** What publishing needs of an object store. */
export interface ImageStore {
  /** @throws GroundworkError `object-store-*` */
  read(key: string): Promise<PublishedImage>;
  /** Puts the image itself, making the bucket where it is missing. */
  upload(key: string, image: LocalImage, onBytes: (done: number) => void): Promise<void>;
  /** Writes the image's content into a file, unverified. */
  download(key: string, file: string): Promise<void>;
  /** Puts the checksum beside the image. */
  writeSidecar(key: string, digest: string): Promise<void>;
}

/** The user metadata that names an object's SHA-256. */
const digestHeader = "groundwork-sha256";
const partBytes = 16 * 1024 * 1024;

/** Opens the store; nothing is asked before the first call. */
export function openImageStore(store: Store): ImageStore {
  const { endpoint, bucket, region, credentials } = store;
  const client = new minio.Client({
    ...endpointOptions(endpoint),
    region,
    partSize: partBytes,
    ...credentials,
  });
  const ask = <T>(what: string, question: () => Promise<T>): Promise<T> =>
    question().catch((error: unknown) => {
      throw explain(error, what, store);
    });

  return {
    read: (key) =>
      ask(`read image ${key}`, async () => {
        const [stat, sidecar] = await Promise.all([
          orAbsent(() => client.statObject(bucket, key)),
          orAbsent(() => readText(client, bucket, `${key}.sha256`)),
        ]);
        const digest: unknown = stat?.metaData[digestHeader];
        const told = /^([0-9a-f]{64})\b/.exec(sidecar ?? "")?.[1];
        return {
          ...(stat && {
            object: { bytes: stat.size, ...(typeof digest === "string" && { digest }) },
          }),
          ...(told !== undefined && { sidecar: told }),
        };
      }),
    upload: (key, image, onBytes) =>
      ask(`upload image ${key}`, async () => {
        if (!(await client.bucketExists(bucket))) await client.makeBucket(bucket, region);
        // The client would go on with an upload that was cut off, and keep that one's digest.
        while ((await client.findUploadId(bucket, key)) !== undefined)
          await client.removeIncompleteUpload(bucket, key);
        let done = 0;
        const counted = fs.createReadStream(image.path, { highWaterMark: 1 << 20 }).pipe(
          new Transform({
            transform(chunk: Buffer, _encoding, next) {
              done += chunk.length;
              onBytes(done);
              next(null, chunk);
            },
          }),
        );
        await client.putObject(bucket, key, counted, image.bytes, {
          "Content-Type": "application/x-qemu-disk",
          [`x-amz-meta-${digestHeader}`]: image.digest,
        });
      }),
    download: (key, file) =>
      ask(`read image ${key}`, async () => {
        await pipeline(await client.getObject(bucket, key), fs.createWriteStream(file));
      }),
    writeSidecar: (key, digest) =>
      ask(`write the checksum of image ${key}`, async () => {
        const text = renderSidecar(digest, key);
        await client.putObject(bucket, `${key}.sha256`, text, text.length, {
          "Content-Type": "text/plain",
        });
      }),
  };
}

async function readText(client: minio.Client, bucket: string, key: string): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of await client.getPartialObject(bucket, key, 0, 4096))
    chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

async function orAbsent<T>(question: () => Promise<T>): Promise<T | undefined> {
  try {
    return await question();
  } catch (error) {
    if (["NoSuchKey", "NotFound", "NoSuchBucket"].includes(codeOf(error))) return undefined;
    throw error;
  }
}

function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : "";
}

function explain(error: unknown, what: string, { endpoint, bucket }: Store): unknown {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const start = `Cannot ${what} in bucket "${bucket}" of ${endpoint}`;
  const seen = [code, message].filter((part) => part !== "").join(": ");
  const cause = error;
  if (
    /^(AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|AuthorizationHeaderMalformed)$/.test(
      code,
    )
  )
    return imageError("object-store-refused", `${start}: the store refuses (${seen}).`, {
      next: "Check the credentials and the region, and that they may write to this bucket.",
      cause,
    });
  if (/StorageFull|QuotaExceeded/.test(code))
    return imageError("object-store-full", `${start}: the store is full (${seen}).`, {
      next: "Make room on the store's disk, then run the same command again.",
      cause,
    });
  if (/^E[A-Z_]+$/.test(code) || /socket hang up|timed? ?out/i.test(message))
    return imageError("object-store-unreachable", `${start}: it does not answer (${seen}).`, {
      next: "Check that the store runs and that objectStore.endpoint is right.",
      cause,
    });
  return imageError("object-store-failed", `${start}: ${seen}.`, {
    next: "See the store's log, then run the same command again.",
    cause,
  });
}

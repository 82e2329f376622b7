import * as fs from "node:fs";
import type { Readable } from "node:stream";
import * as minio from "minio";
import pRetry, { AbortError } from "p-retry";
import { z } from "zod";
import { endpointOptions } from "../core/endpoint.ts";
import type { ImageReference } from "../core/arguments.ts";
import { hasCode, imageError } from "../core/errors.ts";
import { parseSidecar, sidecarBytes } from "../core/parsers.ts";
import { headerBytes } from "../core/qcow2.ts";
import { type Answer, hashAnswer } from "./hash-answer.ts";

export interface Credentials {
  accessKey: string;
  secretKey: string;
}

/**
 * Reads the credentials of the object store: MINIO_ACCESS_KEY and MINIO_SECRET_KEY, or else the JSON
 * file that GROUNDWORK_OBJECT_STORE_CREDENTIALS names.
 * @throws GroundworkError `object-store-credentials`
 */
export function readCredentials(env: NodeJS.ProcessEnv): Credentials {
  const [accessKey, secretKey] = [env["MINIO_ACCESS_KEY"], env["MINIO_SECRET_KEY"]];
  if (accessKey !== undefined && secretKey !== undefined) return { accessKey, secretKey };
  const file = env["GROUNDWORK_OBJECT_STORE_CREDENTIALS"];
  const bad = (seen: string, cause?: unknown): Error =>
    imageError("object-store-credentials", `Cannot ask the object store for an image: ${seen}.`, {
      next: 'Set MINIO_ACCESS_KEY and MINIO_SECRET_KEY, or run `eval "$(make -s env)"`.',
      cause,
    });
  if (file === undefined) throw bad("there are no credentials in the environment");
  try {
    return z
      .looseObject({ accessKey: z.string().min(1), secretKey: z.string().min(1) })
      .parse(JSON.parse(fs.readFileSync(file, "utf8")));
  } catch (cause) {
    throw bad(`the credentials in ${file} cannot be read`, cause);
  }
}

/** An object as the store describes it, without the whole of its content. */
export interface ImageObject {
  bytes: number;
  etag: string;
  /** Its first bytes, enough for `parseQcow2Header`. */
  header: Buffer;
}

/** What this provider needs of an object store. */
export interface ObjectStore {
  /** The digest that the `.sha256` beside the object tells; an error when there is none. */
  readSidecar(image: ImageReference): Promise<string>;
  readImage(image: ImageReference): Promise<ImageObject>;
  /** The SHA-256 of the object's content, all of which is read for it. */
  hashImage(image: ImageReference): Promise<{ digest: string; bytes: number; etag: string }>;
  /** A URL with which whoever has it can fetch the object for twelve hours. Secret. */
  presign(image: ImageReference): Promise<string>;
}

/** A fetch may wait for its turn, and then takes as long as a script may. */
const presignedSeconds = 12 * 3600;

/** How an image is called in messages: `images/debian.qcow2`. */
export function describeImage(image: ImageReference): string {
  return `${image.bucket}/${image.key}`;
}

/** Opens the store; the credentials are not tried before the first question. */
export function openObjectStore(credentials: Credentials): ObjectStore {
  const client = (image: ImageReference): minio.Client =>
    new minio.Client({
      ...endpointOptions(image.endpoint),
      region: image.region ?? "us-east-1",
      retryOptions: { disableRetry: true },
      ...credentials,
    });
  return {
    readSidecar: (image) =>
      ask(image, `the checksum of image ${describeImage(image)}`, async () => {
        const stream = await client(image).getObject(image.bucket, `${image.key}.sha256`);
        return parseSidecar(await readBounded(stream, sidecarBytes + 1), image.key);
      }).catch((error: unknown) => {
        if (!hasCode(error, "image-missing")) throw error;
        throw imageError(
          "image-without-checksum",
          `Cannot use image ${describeImage(image)}: there is no ${image.key}.sha256 beside it and no sha256 in the configuration, so nothing says what it should be.`,
          {
            next: `Upload the output of \`sha256sum\` as ${image.key}.sha256, or set sha256.`,
            cause: error,
          },
        );
      }),
    readImage: (image) =>
      ask(image, `image ${describeImage(image)}`, async () => {
        const { bucket, key } = image;
        const told = await client(image)
          .statObject(bucket, key)
          .catch((error: unknown) => {
            // A gateway that knows no HEAD: its answer to GET tells the same.
            if ((error as { code?: string }).code === "MethodNotAllowed") return undefined;
            throw error;
          });
        if (told?.size === 0) return { bytes: 0, etag: told.etag, header: Buffer.alloc(0) };
        const length = Math.min(headerBytes, told?.size ?? headerBytes);
        const stream = await client(image).getPartialObject(bucket, key, 0, length);
        const { size, etag } = told ?? describeAnswer(stream);
        const header = Buffer.from(await readBounded(stream, headerBytes, "latin1"), "latin1");
        return { bytes: size, etag, header };
      }),
    hashImage: async (image) => {
      const what = `image ${describeImage(image)}`;
      const stream: Answer = await ask(image, what, () =>
        client(image).getObject(image.bucket, image.key),
      );
      return hashAnswer(stream, secondsToAnswer).catch((error: unknown) => {
        throw explain(error, image, what);
      });
    },
    presign: (image) => client(image).presignedGetObject(image.bucket, image.key, presignedSeconds),
  };
}

/** What the answer to a ranged GET tells of the object. */
function describeAnswer(answer: Answer): {
  size: number;
  etag: string;
} {
  const { headers = {} } = answer;
  const [, total] = /\/(\d+)$/.exec(headers["content-range"] ?? "") ?? [];
  const etag = headers.etag?.replaceAll('"', "");
  if (total === undefined || etag === undefined)
    throw new Error("its answer tells neither length nor ETag");
  return { size: Number(total), etag };
}

/** Reads a stream until so many bytes have come, and no further. */
async function readBounded(
  stream: Readable,
  bytes: number,
  encoding: "utf8" | "latin1" = "utf8",
): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= bytes) break; // which destroys the stream
  }
  return Buffer.concat(chunks).subarray(0, bytes).toString(encoding);
}

const secondsToAnswer = 15;

/** Asks the store, again where it is only busy, and says what its answer means. */
async function ask<Answer>(
  image: ImageReference,
  what: string,
  question: () => Promise<Answer>,
): Promise<Answer> {
  const attempt = async (): Promise<Answer> => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const seconds = String(secondsToAnswer);
      timer = setTimeout(
        () => reject(Object.assign(new Error(`no answer for ${seconds} s`), { code: "ETIMEDOUT" })),
        secondsToAnswer * 1000,
      );
    });
    try {
      return await Promise.race([question(), late]);
    } catch (error) {
      if (!mayPass(error)) throw new AbortError(error as Error);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  };
  try {
    return await pRetry(attempt, { retries: 3, minTimeout: 300, factor: 3 });
  } catch (error) {
    throw explain(error, image, what);
  }
}

/** Whether asking again may help: the store is busy, or closed a connection that was kept open. */
function mayPass(error: unknown): boolean {
  return (
    statusOf(error) !== undefined ||
    ["ECONNRESET", "EPIPE"].includes((error as { code?: string }).code ?? "")
  );
}

/** The status with which the store said that it is busy. */
function statusOf(error: unknown): string | undefined {
  return /Retryable HTTP status: (\d+)/.exec(String(error))?.[1];
}

function explain(error: unknown, image: ImageReference, what: string): unknown {
  if (error instanceof Error && error.name === "GroundworkError") return error;
  const { code = "", message } = error as Error & { code?: string };
  const cause = error;
  const start = `Cannot read ${what} from ${image.endpoint}:`;
  if (["NoSuchKey", "NotFound", "NoSuchBucket"].includes(code))
    return imageError("image-missing", `${start} it is not there (${code}).`, {
      next: "Upload it, or correct its bucket and key.",
      cause,
    });
  if (["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"].includes(code))
    return imageError("image-forbidden", `${start} the store refuses (${code}).`, {
      next: "Check the credentials, and that they may read this bucket.",
      cause,
    });
  if (/^(E[A-Z]+|EAI_AGAIN)$/.test(code))
    return imageError("object-store-unreachable", `${start} it cannot be reached (${message}).`, {
      next: "Check that it runs and that endpoint is right.",
      cause,
    });
  const status = statusOf(error);
  const seen = status === undefined ? `${code} ${message}`.trim() : `it answers ${status}`;
  return imageError("object-store-failed", `${start} ${seen}.`, {
    next: "See the object store's log, then run the same command again.",
    cause,
  });
}

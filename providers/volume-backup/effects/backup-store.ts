import * as minio from "minio";
import { GroundworkError } from "../../errors.ts";
import { endpointOptions } from "../../image-volume/core/endpoint.ts";
import type { Credentials } from "../../image-volume/effects/object-store.ts";
import type { StoredObject } from "../core/backups.ts";

export interface StoreLocation {
  endpoint: string;
  bucket: string;
  region: string;
}

/** An upload that a host carries out, part by part. */
export interface Upload {
  /** Secret: whoever has one can write that part for a day. */
  urls: string[];
  complete(etags: readonly { part: number; etag: string }[]): Promise<void>;
  abort(): Promise<void>;
}

/** What backups need of an object store. */
export interface BackupStore {
  list(): Promise<StoredObject[]>;
  beginUpload(key: string, parts: number, owner: string): Promise<Upload>;
  /** Whose an object is, as its upload said; undefined where none did, or there is no such object. */
  owner(key: string): Promise<string | undefined>;
  writeChecksum(key: string, digest: string): Promise<void>;
  /** Removes an object, its checksum first, so that none is ever without the other to a reader. */
  remove(key: string): Promise<void>;
}

const uploadSeconds = 24 * 3600;

/** Opens the store; nothing is asked before the first call. */
export function openBackupStore(location: StoreLocation, credentials: Credentials): BackupStore {
  const { endpoint, bucket, region } = location;
  const client = new minio.Client({
    ...endpointOptions(endpoint),
    region,
    ...credentials,
  });
  const ask = async <T>(what: string, question: () => Promise<T>): Promise<T> => {
    try {
      return await question();
    } catch (cause) {
      const { code = "", message = String(cause) } = cause as { code?: string; message?: string };
      throw new GroundworkError({
        code: "object-store-failed",
        message: `Cannot ${what} in bucket "${bucket}" of ${endpoint}: ${[code, message].filter((part) => part !== "").join(": ")}.`,
        next: "Check that the store runs and that the credentials may write there, then run the same command again.",
        cause,
      });
    }
  };
  return {
    list: () =>
      ask("list the backups", async () => {
        const objects: StoredObject[] = [];
        if (!(await client.bucketExists(bucket))) return objects;
        for await (const item of client.listObjectsV2(bucket, "", true) as AsyncIterable<{
          name?: string;
          size?: number;
        }>)
          if (item.name !== undefined) objects.push({ key: item.name, bytes: item.size ?? 0 });
        return objects;
      }),
    owner: (key) =>
      ask(`see whose ${key} is`, async () => {
        try {
          const { metaData } = await client.statObject(bucket, key);
          const told: unknown = metaData["groundwork-owner"];
          return typeof told === "string" ? told : undefined;
        } catch (error) {
          if (["NotFound", "NoSuchKey"].includes((error as { code?: string }).code ?? ""))
            return undefined;
          throw error;
        }
      }),
    beginUpload: (key, parts, owner) =>
      ask(`begin to upload ${key}`, async () => {
        if (!(await client.bucketExists(bucket))) await client.makeBucket(bucket, region);
        const headers = {
          "Content-Type": "application/x-qemu-disk",
          "X-Amz-Meta-Groundwork-Owner": owner,
        };
        const uploadId = await client.initiateNewMultipartUpload(bucket, key, headers);
        const urls = await Promise.all(
          Array.from({ length: parts }, (_, index) =>
            client.presignedUrl("PUT", bucket, key, uploadSeconds, {
              uploadId,
              partNumber: String(index + 1),
            }),
          ),
        );
        return {
          urls,
          complete: (etags) =>
            ask(`complete the upload of ${key}`, async () => {
              await client.completeMultipartUpload(bucket, key, uploadId, [...etags]);
            }),
          abort: () =>
            ask(`give up the upload of ${key}`, () =>
              client.abortMultipartUpload(bucket, key, uploadId),
            ),
        };
      }),
    writeChecksum: (key, digest) =>
      ask(`write the checksum of ${key}`, async () => {
        const text = `${digest}  ${key}\n`;
        await client.putObject(bucket, `${key}.sha256`, text, text.length, {
          "Content-Type": "text/plain",
        });
      }),
    remove: (key) =>
      ask(`remove ${key}`, async () => {
        await client.removeObject(bucket, `${key}.sha256`);
        await client.removeObject(bucket, key);
      }),
  };
}

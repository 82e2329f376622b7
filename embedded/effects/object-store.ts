import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import { Client } from "minio";
import { z } from "zod";
import { GroundworkError } from "../../providers/errors.ts";
import { layoutOf } from "../core/layout.ts";
import type { ObjectStoreObserved } from "../core/observed.ts";
import { isLoopback, parsePortHolder, portOf } from "../core/parse.ts";
import type { Credentials, EmbeddedOptions } from "../core/types.ts";
import { toolExists, tryCommand, waitFor } from "./command.ts";
import { logTail, startDaemon } from "./daemon.ts";
import { findProcesses, hasEnded } from "./processes.ts";

const credentialsSchema = z.object({ accessKey: z.string().min(1), secretKey: z.string().min(1) });

function readCredentialsFile(file: string): Credentials | undefined {
  if (!existsSync(file)) return undefined;
  try {
    return credentialsSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    throw new GroundworkError({
      code: "bad-credentials-file",
      message: `Cannot read the object store's credentials from ${file}: it is not JSON with accessKey and secretKey.`,
      next: 'Write it again as {"accessKey": "…", "secretKey": "…"}, or remove it to have new ones made for a store of our own.',
    });
  }
}

/** Credentials of the environment, else of our own file, else of the file that the environment names. */
export function readCredentials(
  options: EmbeddedOptions,
): { credentials: Credentials; file: string } | undefined {
  const { credentials: ownFile } = layoutOf(options);
  const { env } = process;
  const accessKey = env["MINIO_ACCESS_KEY"];
  const secretKey = env["MINIO_SECRET_KEY"];
  if (accessKey !== undefined && secretKey !== undefined)
    return { credentials: { accessKey, secretKey }, file: ownFile };
  for (const file of [ownFile, env["GROUNDWORK_OBJECT_STORE_CREDENTIALS"]]) {
    const credentials = file === undefined ? undefined : readCredentialsFile(file);
    if (file !== undefined && credentials !== undefined) return { credentials, file };
  }
  return undefined;
}

/** Writes the credentials file, readable by its owner alone, in one go. */
export function writeCredentials(file: string, credentials: Credentials): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, `${JSON.stringify(credentials)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

export function makeCredentials(options: EmbeddedOptions): void {
  writeCredentials(layoutOf(options).credentials, {
    accessKey: "groundwork",
    secretKey: randomBytes(24).toString("base64url"),
  });
}

function clientFor(options: EmbeddedOptions, credentials: Credentials): Client {
  const { endpoint, region } = options.objectStore;
  const url = new URL(endpoint);
  return new Client({
    endPoint: url.hostname.replace(/^\[|\]$/g, ""),
    port: portOf(endpoint),
    useSSL: url.protocol === "https:",
    region,
    retryOptions: { disableRetry: true }, // it would announce them; we wait ourselves
    ...credentials,
  });
}

function within<T>(work: Promise<T>, seconds: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no answer within ${String(seconds)} s`));
    }, seconds * 1000);
  });
  return Promise.race([work, late]).finally(() => {
    clearTimeout(timer);
  });
}

function listens(endpoint: string): Promise<boolean> {
  const host = new URL(endpoint).hostname.replace(/^\[|\]$/g, "");
  return new Promise((resolve) => {
    const socket = connect({ host, port: portOf(endpoint), timeout: 5_000 });
    const end = (answer: boolean) => (): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", end(true));
    socket.once("error", end(false));
    socket.once("timeout", end(false));
  });
}

async function readAnswer(
  options: EmbeddedOptions,
  credentials: Credentials | undefined,
): Promise<ObjectStoreObserved["answer"]> {
  const { endpoint, bucket } = options.objectStore;
  if (!(await listens(endpoint))) return { state: "silent" };
  try {
    const response = await fetch(endpoint, {
      redirect: "manual",
      signal: AbortSignal.timeout(5_000),
    });
    await response.body?.cancel();
    if (!response.headers.has("x-amz-request-id"))
      return { state: "other", reason: `it answers HTTP ${String(response.status)}, not S3` };
  } catch (error) {
    const { cause, message } = error as Error;
    return { state: "other", reason: cause instanceof Error ? cause.message : message };
  }
  if (credentials === undefined) return { state: "denied", reason: "we have no credentials" };
  try {
    const found = await within(clientFor(options, credentials).bucketExists(bucket), 10);
    return { state: "ready", bucket: found };
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    return { state: "denied", reason: code ?? message };
  }
}

export async function observeObjectStore(options: EmbeddedOptions): Promise<ObjectStoreObserved> {
  const { endpoint } = options.objectStore;
  const credentials = readCredentials(options)?.credentials;
  const answer = await readAnswer(options, credentials);
  const taken = answer.state === "denied" || answer.state === "other";
  const port = portOf(endpoint);
  const holder =
    taken && toolExists("ss")
      ? parsePortHolder((await tryCommand("ss", ["-Hltnp", `sport = :${String(port)}`])).stdout)
      : undefined;
  return {
    loopback: isLoopback(endpoint),
    port,
    answer,
    credentials: credentials !== undefined,
    processes: findProcesses(options, undefined).filter((process) => process.daemon === "minio"),
    folder: existsSync(layoutOf(options).objectStore.data),
    ...(holder !== undefined && { portHolder: holder }),
  };
}

/** Starts our own MinIO and waits until it lets us in. @throws GroundworkError `object-store-silent`. */
export async function startObjectStore(options: EmbeddedOptions): Promise<void> {
  const layout = layoutOf(options);
  const { endpoint, region } = options.objectStore;
  const found = readCredentials(options);
  if (found === undefined) throw new Error("credentials are made before the object store starts");
  if (found.file === layout.credentials) writeCredentials(found.file, found.credentials);
  for (const folder of Object.values(layout.objectStore))
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { hostname } = new URL(endpoint);
  const address = `${hostname === "localhost" ? "127.0.0.1" : hostname}:${String(portOf(endpoint))}`;
  await startDaemon(
    options,
    "minio",
    options.minioBinary ?? "minio",
    [
      "server",
      ...["--address", address, "--certs-dir", layout.objectStore.certificates],
      layout.objectStore.data,
    ],
    {
      HOME: layout.root,
      MINIO_ROOT_USER: found.credentials.accessKey,
      MINIO_ROOT_PASSWORD: found.credentials.secretKey,
      MINIO_SITE_REGION: region,
      MINIO_BROWSER: "off",
      MINIO_UPDATE: "off",
    },
  );
  const outcome = await waitFor(
    async () => {
      if ((await readAnswer(options, found.credentials)).state === "ready") return "ready";
      return (await hasEnded(options, "minio")) ? "ended" : undefined;
    },
    30,
    100,
  );
  if (outcome === "ready") return;
  throw new GroundworkError({
    code: "object-store-silent",
    message: `The embedded MinIO ${outcome === "ended" ? "ended at once" : "does not answer after 30 s"} (${endpoint}). The end of its log:\n${logTail(options, "minio")}\n`,
    next: "Mend what the log names, then run the same command again.",
  });
}

export async function makeBucket(options: EmbeddedOptions): Promise<void> {
  const found = readCredentials(options);
  if (found === undefined) throw new Error("a bucket is made only where credentials were accepted");
  const { endpoint, bucket, region } = options.objectStore;
  try {
    await within(clientFor(options, found.credentials).makeBucket(bucket, region), 30);
  } catch (cause) {
    const { code, message } = cause as Error & { code?: string };
    if (code === "BucketAlreadyOwnedByYou") return;
    throw new GroundworkError({
      code: "bucket-refused",
      message: `Cannot make the bucket "${bucket}" at ${endpoint}: ${code ?? message}.`,
      next: "Choose a name that S3 allows, or credentials that may make buckets.",
      cause,
    });
  }
}

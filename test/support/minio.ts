import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import * as minio from "minio";
import { cacheFolder } from "./needs.ts";
import { endTree, freePort, makeScratch, tied, undoAtExit, waitUntilReady } from "./scratch.ts";

/** A MinIO server of the test's own, with credentials of its own, on a free port of 127.0.0.1. */
export interface TestMinio {
  /** Such as `http://127.0.0.1:34567`. */
  readonly endpoint: string;
  readonly port: number;
  readonly region: string;
  readonly credentials: { readonly accessKey: string; readonly secretKey: string };
  /** The credentials as the file that GROUNDWORK_OBJECT_STORE_CREDENTIALS names. */
  readonly credentialsFile: string;
  readonly client: minio.Client;
  /** Stops the server and keeps its data: to see what happens without it. */
  halt(): void;
  /** Starts the server again on the same port. */
  resume(): Promise<void>;
  /** Stops the server and removes its data. */
  stop(): void;
}

/** The `minio` on PATH, or the newest one that set-up built. */
export function minioProgram(): string {
  if (spawnSync("minio", ["--version"], { stdio: "ignore" }).status === 0) return "minio";
  const folder = path.join(cacheFolder(), "bin");
  const built = fs.existsSync(folder)
    ? fs.readdirSync(folder).filter((name) => name.startsWith("minio-"))
    : [];
  const newest = built
    .map((name) => path.join(folder, name))
    .sort((one, other) => fs.statSync(other).mtimeMs - fs.statSync(one).mtimeMs)[0];
  if (newest === undefined)
    throw new Error("There is no minio on PATH and none that set-up built.");
  return newest;
}

/** A client of a server on 127.0.0.1, with the keys of a credentials file. */
export function openMinio(port: number, credentialsFile: string): minio.Client {
  const keys = JSON.parse(fs.readFileSync(credentialsFile, "utf8")) as {
    accessKey: string;
    secretKey: string;
  };
  return new minio.Client({ endPoint: "127.0.0.1", port, useSSL: false, ...keys });
}

/** Starts MinIO. Call `requireNeeds(this, ["minio"])` before. */
export async function startMinio(): Promise<TestMinio> {
  const scratch = makeScratch("minio");
  const port = await freePort();
  const credentials = {
    accessKey: `test${randomBytes(6).toString("hex")}`,
    secretKey: randomBytes(20).toString("hex"),
  };
  const credentialsFile = path.join(scratch.folder, "credentials.json");
  fs.writeFileSync(credentialsFile, JSON.stringify(credentials), { mode: 0o600 });
  const client = new minio.Client({
    endPoint: "127.0.0.1",
    port,
    useSSL: false,
    region: "us-east-1",
    retryOptions: { disableRetry: true }, // which would be announced on the console
    ...credentials,
  });
  let server: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    const log = path.join(scratch.folder, "log");
    const output = fs.openSync(log, "w");
    const [file, args] = tied(minioProgram(), [
      ...["server", "--quiet", "--address", `127.0.0.1:${String(port)}`],
      path.join(scratch.folder, "data"),
    ]);
    server = spawn(file, args, {
      stdio: ["ignore", output, output],
      env: {
        PATH: process.env["PATH"],
        HOME: scratch.folder,
        MINIO_ROOT_USER: credentials.accessKey,
        MINIO_ROOT_PASSWORD: credentials.secretKey,
        MINIO_BROWSER: "off",
        MINIO_UPDATE: "off",
      },
    });
    fs.closeSync(output);
    server.unref();
    await waitUntilReady(
      "MinIO",
      async () => Array.isArray(await client.listBuckets()),
      () => fs.readFileSync(log, "utf8"),
      60,
    );
  };
  const halt = (): void => {
    endTree(server?.pid);
    server = undefined;
  };
  const stop = undoAtExit(() => {
    halt();
    scratch.remove();
  });
  try {
    await start();
  } catch (error) {
    stop();
    throw error;
  }
  const endpoint = `http://127.0.0.1:${String(port)}`;
  return {
    ...{ endpoint, port, region: "us-east-1", credentials, credentialsFile, client },
    ...{ halt, resume: start, stop },
  };
}

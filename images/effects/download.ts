import * as fs from "node:fs/promises";
import * as path from "node:path";
import { planRequest } from "../core/url.ts";

/** The encodings that fetch() decodes; object stores tell of others, such as aws-chunked, that are none any more. */
const decoded = /gzip|deflate|br|zstd|compress/;

/**
 * Asks for a URL, however long its body takes: one that stands still for five minutes fails by itself.
 * What is encoded for the way is refused, since fetch() would decode it, and the checksum is of the file.
 */
export async function openUrl(url: string): Promise<Response> {
  const request = planRequest(url);
  const headers = { ...request.headers, "accept-encoding": "identity" };
  const response = await fetch(request.url, { headers });
  const encoding = response.headers.get("content-encoding") ?? "";
  if (response.ok && !decoded.test(encoding)) return response;
  await response.body?.cancel();
  throw new Error(
    response.ok
      ? `the server sends it with content-encoding "${encoding}", though asked for it as it is`
      : `the server answers ${String(response.status)}`,
  );
}

/** fetch() hides the reason in the cause. */
export function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error && cause.message !== "" ? cause.message : message;
}

/** Removes the `<name>.<process>.part` files in a folder that downloads of ended processes left. */
export async function sweepParts(folder: string): Promise<void> {
  await fs.mkdir(folder, { recursive: true });
  for (const entry of await fs.readdir(folder)) {
    const pid = /\.(\d+)\.part(\.sha256)?$/.exec(entry)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    await fs.rm(path.join(folder, entry), { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return pid !== process.pid;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

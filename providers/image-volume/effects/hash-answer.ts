import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";

/** The answer to a GET. */
export type Answer = Readable & { headers?: IncomingHttpHeaders };

/** Reads an answer to its end; fails with `ETIMEDOUT` when nothing comes for so many seconds. */
export async function hashAnswer(
  answer: Answer,
  seconds: number,
): Promise<{ digest: string; bytes: number; etag: string }> {
  const late = Object.assign(new Error(`nothing came for ${String(seconds)} s`), {
    code: "ETIMEDOUT",
  });
  const timer = setTimeout(() => answer.destroy(late), seconds * 1000);
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      hash.update(chunk);
      bytes += chunk.length;
      timer.refresh();
    }
  } finally {
    clearTimeout(timer);
  }
  const etag = (answer.headers?.etag ?? "").replaceAll('"', "");
  return { digest: hash.digest("hex"), bytes, etag };
}

import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { say } from "../../telemetry/effects/log.ts";
import { quote } from "../../host/core/script.ts";
import { renderDecode, volumesPerDecode } from "../core/decode.ts";
import { isPlainQcow2 } from "../core/image-format.ts";
import { buildFailure } from "../core/failures.ts";
import { hostName, readCacheLayout, runScript } from "./hosts.ts";
import { besides, type CachedImage } from "./images.ts";

/** The volumes of this process that want one image on one host at the moment. */
interface Wish {
  volumes: number;
  /** Once enough of them do. */
  decoding?: Decoding;
}

interface Decoding {
  /** Where the disk will be, once it is whole. */
  file: string;
  /** The image in the cache, when it is decoded and was right. */
  done: Promise<CachedImage>;
}

const wishes = new Map<string, Wish>();
/** Images for whose decoded disk a host had no room. */
const crowded = new Set<string>();

/** Pulumi asks for all volumes of an update at once: so long they are counted. */
const countingMilliseconds = 20;

/** An image on a host. */
interface Where {
  uri: string;
  /** For messages. */
  name: string;
  digest: string;
}

/** How a volume's run comes by its image. */
export interface ImageSource {
  image: CachedImage;
  /** What fetches it, where `image` may be read while it comes. */
  fetch?: () => Promise<CachedImage>;
}

/**
 * Hands a volume's work its image. Where several volumes of this process want the same image on the same
 * host at the same time, it is decoded once, and they are all written from the result, piece by piece as it
 * grows where our own decoder makes it; the last of them removes it again.
 */
export async function withImage<Result>(
  where: Where,
  provide: () => Promise<ImageSource>,
  work: (source: ImageSource) => Promise<Result>,
): Promise<Result> {
  const key = `${where.digest} ${where.uri}`;
  const wish: Wish = wishes.get(key) ?? { volumes: 0 };
  wishes.set(key, wish);
  wish.volumes += 1;
  try {
    const [source] = await Promise.all([provide(), sleep(countingMilliseconds)]);
    const few = wish.volumes < volumesPerDecode && wish.decoding === undefined;
    if (few || crowded.has(key) || !isPlainQcow2(source.image.format)) return await work(source);
    const isFirst = wish.decoding === undefined;
    wish.decoding ??= startDecoding(where, source, key, wish);
    const { file, done } = wish.decoding;
    const image = { ...source.image, verify: false, decoded: file };
    delete image.follow; // it is the decoded disk that they read
    return await work({
      image,
      fetch: () => (isFirst ? done : done.then((decoded) => ({ ...decoded, steps: [] }))),
    });
  } finally {
    wish.volumes -= 1;
    if (wish.volumes === 0) {
      wishes.delete(key);
      await removeDecoded(where.uri, wish.decoding);
    }
  }
}

function startDecoding(where: Where, source: ImageSource, key: string, wish: Wish): Decoding {
  const file = readCacheLayout().decoded(where.digest, randomBytes(6).toString("hex"));
  const done = decode(where, source, file, key).catch((error: unknown) => {
    delete wish.decoding; // whoever tries again decodes again
    throw error;
  });
  done.catch(() => undefined); // those who wait for it report it
  return { file, done };
}

async function decode(
  { uri, name, digest }: Where,
  { image, fetch }: ImageSource,
  file: string,
  key: string,
): Promise<CachedImage> {
  const subject = { purpose: "decode the image", image: name, digest };
  const [fetched, values] = await besides(fetch, (signal) =>
    runScript(uri, renderDecode(file, image), {
      ...{ subject, timeoutSeconds: 4 * 3600, load: "convert", signal },
    }),
  );
  if (values.get("decoded") === "yes") return fetched ?? image;
  crowded.add(key);
  throw buildFailure(
    { code: "host-changed", detail: "there is no room to decode the image once for all volumes" },
    { ...subject, hostName: hostName(uri) },
  );
}

async function removeDecoded(uri: string, decoding?: Decoding): Promise<void> {
  const isThere = await decoding?.done.then(
    () => true,
    () => false, // it has removed what it had
  );
  if (decoding === undefined || isThere !== true) return;
  try {
    await runScript(
      uri,
      `rm -f -- ${quote(decoding.file)} ${quote(`${decoding.file}.new.pieces`)}`,
      {
        subject: { purpose: "remove the decoded image" },
        timeoutSeconds: 60,
      },
    );
  } catch (error) {
    // The volumes are written; what is left goes with a later run, or an eviction.
    say(error instanceof Error ? error.message : String(error));
  }
}

import { randomBytes } from "node:crypto";
import { say } from "../../telemetry/effects/log.ts";
import { quote } from "../../host/core/script.ts";
import { renderDecode, volumesPerDecode } from "../core/decode.ts";
import { isPlainQcow2 } from "../core/image-format.ts";
import { readCacheLayout, runScript } from "./hosts.ts";
import { besides, type CachedImage } from "./images.ts";

/** The volumes of this process that want one image on one host at the moment. */
interface Wish {
  volumes: number;
  /** Once enough of them do. */
  decoding?: Promise<Decoded>;
}

interface Decoded {
  image: CachedImage;
  /** None where there was no room for it. */
  file?: string;
}

const wishes = new Map<string, Wish>();

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
 * host at the same time, it is decoded once, and they are all written from the result; the last of
 * them removes that again.
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
    const source = await provide();
    if (wish.volumes < volumesPerDecode || !isPlainQcow2(source.image.format))
      return await work(source);
    const isFirst = wish.decoding === undefined;
    wish.decoding ??= decode(where, source).catch((error: unknown) => {
      delete wish.decoding; // whoever tries again decodes again
      throw error;
    });
    const { image, file } = await wish.decoding;
    const read = file === undefined ? image : { ...image, verify: false, decoded: file };
    return await work({ image: isFirst ? read : { ...read, steps: [] } });
  } finally {
    wish.volumes -= 1;
    if (wish.volumes === 0) {
      wishes.delete(key);
      await removeDecoded(where.uri, wish.decoding);
    }
  }
}

async function decode(
  { uri, name, digest }: Where,
  { image, fetch }: ImageSource,
): Promise<Decoded> {
  const file = readCacheLayout().decoded(digest, randomBytes(6).toString("hex"));
  const [fetched, values] = await besides(fetch, (signal) =>
    runScript(uri, renderDecode(file, image), {
      subject: { purpose: "decode the image", image: name, digest },
      timeoutSeconds: 4 * 3600,
      heavy: true,
      signal,
    }),
  );
  return { image: fetched ?? image, ...(values.get("decoded") === "yes" && { file }) };
}

async function removeDecoded(uri: string, decoding?: Promise<Decoded>): Promise<void> {
  const file = await decoding?.then((decoded) => decoded.file).catch(() => undefined);
  if (file === undefined) return;
  try {
    await runScript(uri, `rm -f -- ${quote(file)}`, {
      subject: { purpose: "remove the decoded image" },
      timeoutSeconds: 60,
    });
  } catch (error) {
    // The volumes are written; what is left goes with a later run, or an eviction.
    say(error instanceof Error ? error.message : String(error));
  }
}

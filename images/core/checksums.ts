import { imageError } from "./errors.ts";

/** What a file must hash to. */
export interface Checksum {
  algorithm: "sha256" | "sha512";
  /** Lower-case hexadecimal. */
  digest: string;
}

const algorithms = new Map<number, Checksum["algorithm"]>([
  [64, "sha256"],
  [128, "sha512"],
]);

/**
 * Finds a file's checksum in a list such as SHA256SUMS or SHA512SUMS: lines `<digest>  <name>`
 * (also `<digest> *<name>`) or BSD's `SHA256 (<name>) = <digest>`, amid comments and signatures.
 * A list of a single bare digest is taken for the file.
 *
 * @throws GroundworkError `image-sums-unusable` when it names the file not at all, or twice with
 *   different digests.
 */
export function parseChecksums(text: string, fileName: string, source: string): Checksum {
  const found = text.split(/\r?\n/).flatMap((line) => parseLine(line.trim()));
  const named = found.filter(({ file }) => file === fileName);
  const bare = found.length === 1 && found[0]?.file === undefined ? found : [];
  const digests = new Set([...named, ...bare].map(({ digest }) => digest));
  const [digest] = digests;
  if (digest === undefined || digests.size > 1)
    throw imageError(
      "image-sums-unusable",
      digest === undefined
        ? `Cannot verify ${fileName}: ${source} names ${String(found.length)} files and not that one.`
        : `Cannot verify ${fileName}: ${source} has ${String(digests.size)} different checksums for it.`,
      { next: "Correct sha256SumsUrl, or set sha256." },
    );
  return { algorithm: algorithms.get(digest.length) ?? "sha256", digest };
}

function parseLine(line: string): { digest: string; file?: string }[] {
  const bsd = /^SHA(?:256|512) \((.+)\) = ([0-9a-fA-F]+)$/.exec(line);
  const gnu = /^([0-9a-fA-F]+)(?:\s+\*?(.+))?$/.exec(line);
  const [digest, file] = bsd === null ? [gnu?.[1], gnu?.[2]] : [bsd[2], bsd[1]];
  if (digest === undefined || !algorithms.has(digest.length)) return [];
  const base = file?.split("/").at(-1);
  return [{ digest: digest.toLowerCase(), ...(base !== undefined && { file: base }) }];
}

/** The file name at the end of a URL's path: what a list of checksums calls it. */
export function fileNameOf(url: string): string {
  return decodeURIComponent(new URL(url).pathname.split("/").at(-1) ?? "");
}

import { createHash, timingSafeEqual } from "node:crypto";
import * as fs from "node:fs";
import { GroundworkError } from "../../providers/errors.ts";
import { parseTokens } from "../core/tokens.ts";

/**
 * The tokens of a file, one a line.
 * @throws GroundworkError `bad-tokens` when it cannot be read, when everybody can read it, or as
 *   {@link parseTokens} does
 */
export function readTokens(file: string): string[] {
  const bad = (seen: string, next: string): GroundworkError =>
    new GroundworkError({
      code: "bad-tokens",
      message: `Cannot use the tokens in ${file}: ${seen}.`,
      next,
    });
  let text: string;
  try {
    if ((fs.statSync(file).mode & 0o007) !== 0)
      throw bad("every user of this machine may read or write it", `Run \`chmod o= ${file}\`.`);
    text = fs.readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof GroundworkError) throw error;
    throw bad((error as Error).message, "Name a file that the server may read.");
  }
  return parseTokens(text, file);
}

/** Whether a request carries one of the tokens, compared in a time that tells nothing about them. */
export function carriesToken(headers: Headers, tokens: readonly string[]): boolean {
  const [, bearer] = /^Bearer (.+)$/i.exec(headers.get("authorization") ?? "") ?? [];
  const given = hash(bearer ?? headers.get("x-api-token") ?? "");
  return tokens.filter((token) => timingSafeEqual(given, hash(token))).length > 0;
}

function hash(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

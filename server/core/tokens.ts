import { GroundworkError } from "../../providers/errors.ts";

/** Shorter ones can be guessed. */
const shortest = 16;

/**
 * Reads the tokens of a file, one a line; empty lines and those with `#` in front are left out.
 * @throws GroundworkError `bad-tokens` when there is none, or one is too short
 */
export function parseTokens(text: string, file: string): string[] {
  const bad = (seen: string): GroundworkError =>
    new GroundworkError({
      code: "bad-tokens",
      message: `Cannot use the tokens in ${file}: ${seen}.`,
      next: "Write one with `openssl rand -hex 32`.",
    });
  const lines = text.split("\n").map((line) => line.trim());
  const short = lines.findIndex(
    (line) => line !== "" && !line.startsWith("#") && line.length < shortest,
  );
  if (short !== -1)
    throw bad(`line ${String(short + 1)} has fewer than ${String(shortest)} characters`);
  const tokens = lines.filter((line) => line !== "" && !line.startsWith("#"));
  if (tokens.length === 0) throw bad("there is none");
  return tokens;
}

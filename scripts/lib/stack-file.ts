import { isDeepStrictEqual } from "node:util";
import { parse } from "yaml";

/** The line that Pulumi adds for its passphrase, at the left edge as top-level keys stand. */
const saltLine = /^encryptionsalt:.*(\n|$)/gm;

/**
 * A stack file without the salt of a stack that is gone. Comments and layout stay as they are.
 */
export function withoutSalt(text: string): string {
  return text.replace(saltLine, "");
}

/**
 * Pulumi writes the whole stack file anew when it adds the salt: comments stay, layout does not.
 * Gives the layout of `before` with the salt of `after`, so that a diff shows one line; gives
 * `after` when more than the salt has changed.
 */
export function keepLayout(before: string, after: string): string {
  const original = withoutSalt(before);
  const salt = after.match(saltLine)?.[0].trimEnd();
  if (!isDeepStrictEqual(parse(original), parse(withoutSalt(after)))) return after;
  if (salt === undefined) return original;
  const body = original === "" || original.endsWith("\n") ? original : `${original}\n`;
  return `${body}${salt}\n`;
}

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

/** Whether a value is as `pulumi config set --secret` writes it. */
function isEncrypted(value: object): boolean {
  const [[key, text] = [], ...others] = Object.entries(value);
  return key === "secure" && typeof text === "string" && others.length === 0;
}

/**
 * What a stack file holds, with a word in place of each encrypted value: no script needs one, and the
 * program itself gets them from Pulumi.
 */
export function hideEncrypted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (isEncrypted(value)) return "encrypted-value-in-the-stack-file"; // long enough for any secret
  if (Array.isArray(value)) return value.map(hideEncrypted);
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, hideEncrypted(inner)]),
  );
}

/** Whether a stack file has values that only its salt and the passphrase open; may have, where it is no YAML. */
export function hasEncrypted(text: string): boolean {
  let document: unknown;
  try {
    document = parse(text);
  } catch {
    return /\bsecure:/.test(text);
  }
  return !isDeepStrictEqual(document, hideEncrypted(document));
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

/** A property as it travels between engine and plugin: JSON, with signatures for what JSON has no word for. */
export type Value = null | boolean | number | string | readonly Value[] | Values;
export interface Values {
  readonly [name: string]: Value | undefined;
}

/** The property that says what a marked object is, and what it may say: fixed by Pulumi's protocol. */
const signature = "4dabf18193072939515e22adb298388d";
const marks = {
  secret: "1b47061264138c4ac30d75fd1eb44270",
  output: "d0e6a833031e9bbcd3f4e8bde6ca49a4",
  asset: "c44067f5952c0a294b673a41bacd8c17",
  archive: "0def7320c3a5731c473e5ecbe6d01bc7",
} as const;
const unknownText = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

export function isObject(value: Value | undefined): value is Values {
  return typeof value === "object" && value !== null && !isList(value);
}

function isList(value: Value | undefined): value is readonly Value[] {
  return Array.isArray(value);
}

function isMarked(value: Value | undefined, mark: keyof typeof marks): boolean {
  return isObject(value) && value[signature] === marks[mark];
}

/** True when a value is a secret. */
export function isSecret(value: Value | undefined): boolean {
  if (!isObject(value)) return false;
  return isMarked(value, "secret") || (isMarked(value, "output") && value["secret"] === true);
}

/** Marks a value as secret, once. */
export function makeSecret(value: Value): Value {
  return isSecret(value) ? value : { [signature]: marks.secret, value };
}

/** A value that is not known before an update, or that holds one. */
export function isUnknown(value: Value | undefined): boolean {
  if (value === unknownText) return true;
  if (isList(value)) return value.some(isUnknown);
  if (!isObject(value)) return false;
  if (isMarked(value, "output") && value["value"] === undefined) return true;
  return Object.values(value).some(isUnknown);
}

/** The value without any mark of secrecy, through all its depth. */
export function reveal(value: Value | undefined): Value | undefined {
  if (isList(value)) return value.map((item) => reveal(item) ?? null);
  if (!isObject(value)) return value;
  if (isMarked(value, "secret") || isMarked(value, "output")) return reveal(value["value"]);
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, reveal(item)]));
}

/** The text of every secret in a value, for hiding it. */
export function secretTexts(value: Value | undefined): string[] {
  if (isSecret(value)) return texts(reveal(value));
  if (isList(value)) return value.flatMap(secretTexts);
  return isObject(value) ? Object.values(value).flatMap(secretTexts) : [];
}

function texts(value: Value | undefined): string[] {
  if (typeof value === "string") return [value];
  if (isList(value)) return value.flatMap(texts);
  return isObject(value) ? Object.values(value).flatMap(texts) : [];
}

/** Where an asset's or archive's content is. */
export interface Source {
  readonly kind: "asset" | "archive";
  readonly path?: string;
  readonly text?: string;
  /** What the engine computed from the content. */
  readonly hash?: string;
}

/** The asset or archive that a value is; `undefined` when it is neither. */
export function readSource(value: Value | undefined): Source | undefined {
  const plain = reveal(value);
  const kind = isMarked(plain, "asset")
    ? "asset"
    : isMarked(plain, "archive")
      ? "archive"
      : undefined;
  if (kind === undefined || !isObject(plain)) return undefined;
  const field = (name: "path" | "text" | "hash"): Record<string, string> => {
    const text = plain[name];
    return typeof text === "string" && (text !== "" || name === "text") ? { [name]: text } : {};
  };
  return { kind, ...field("path"), ...field("text"), ...field("hash") };
}

/** An asset for a file of this machine; `hash` is the SHA-256 of its content. */
export function buildAsset(path: string, hash: string): Value {
  return { [signature]: marks.asset, path, hash };
}

/** An archive of assets under the names given. */
export function buildArchive(assets: Values): Value {
  return { [signature]: marks.archive, assets };
}

/** Equal in every part that is not a mark of secrecy; assets and archives by their content. */
export function isSame(a: Value | undefined, b: Value | undefined): boolean {
  return isSamePlain(reveal(a), reveal(b));
}

function isSamePlain(a: Value | undefined, b: Value | undefined): boolean {
  if (isList(a) && isList(b))
    return a.length === b.length && a.every((item, at) => isSamePlain(item, b[at]));
  if (!isObject(a) || !isObject(b)) return (a ?? null) === (b ?? null);
  const [sourceA, sourceB] = [readSource(a), readSource(b)];
  if (sourceA?.hash !== undefined && sourceB?.hash !== undefined)
    return sourceA.kind === sourceB.kind && sourceA.hash === sourceB.hash;
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) => isSamePlain(a[name], b[name]));
}

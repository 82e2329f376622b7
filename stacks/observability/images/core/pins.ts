/** An official image as compose.pull.yaml names it: by a tag, and by what the tag was when it was pinned. */
export interface Pin {
  /** `grafana/loki:3.7.2`, with the registry before it unless it is Docker's. */
  readonly tag: string;
  /** `sha256:` and 64 hex digits. */
  readonly digest: string;
}

const pinned = /([a-z0-9][\w./-]*(?::\d+[\w./-]*\/[\w./-]+)?:[\w][\w.-]*)@(sha256:[0-9a-f]{64})/g;

/** The images that a text pins, each once, in their order. */
export function parsePins(text: string): Pin[] {
  const found = [...text.matchAll(pinned)].map(([, tag = "", digest = ""]) => ({ tag, digest }));
  return found.filter(({ tag }, at) => found.findIndex((other) => other.tag === tag) === at);
}

/** The text with these digests for its tags; what is not among them stays. */
export function renderPins(text: string, digests: ReadonlyMap<string, string>): string {
  return text.replaceAll(
    pinned,
    (_, tag: string, digest: string) => `${tag}@${digests.get(tag) ?? digest}`,
  );
}

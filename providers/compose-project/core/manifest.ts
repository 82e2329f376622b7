import { createHash } from "node:crypto";

export type Mode = "0644" | "0755" | "0600";

/** One file of a project, without its content. */
export interface ManifestEntry {
  /** Relative, with `/`. */
  path: string;
  sha256: string;
  mode: Mode;
}

/** A file of a project with its content. */
export interface ProjectFile extends ManifestEntry {
  content: Buffer;
}

export interface ManifestChanges {
  upload: string[];
  /** Same content, another mode. */
  remode: string[];
  remove: string[];
}

export function sha256(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

/** What must happen to the one tree to become the other. */
export function planChanges(
  desired: readonly ManifestEntry[],
  present: readonly { path: string; sha256: string; mode: string }[],
): ManifestChanges {
  const seen = new Map(present.map((entry) => [entry.path, entry]));
  const wanted = new Set(desired.map(({ path }) => path));
  return {
    upload: desired
      .filter(({ path, sha256: digest }) => seen.get(path)?.sha256 !== digest)
      .map(({ path }) => path),
    remode: desired
      .filter(({ path, sha256: digest, mode }) => {
        const there = seen.get(path);
        return there?.sha256 === digest && there.mode !== mode;
      })
      .map(({ path }) => path),
    remove: present.map(({ path }) => path).filter((path) => !wanted.has(path)),
  };
}

export function isUnchanged({ upload, remode, remove }: ManifestChanges): boolean {
  return upload.length + remode.length + remove.length === 0;
}

/** One digest for a whole tree, whatever the order of its files. */
export function manifestDigest(
  entries: readonly { path: string; sha256: string; mode: string }[],
): string {
  const lines = entries.map(({ path, sha256: digest, mode }) => `${digest} ${mode} ${path}\n`);
  return sha256(lines.sort().join(""));
}

/**
 * The `.env` that Compose reads: which files make up the project, settings, secrets. Values stand in
 * single quotes, in which Compose expands nothing.
 */
export function renderEnvironmentFile(options: {
  project: string;
  composeFiles: readonly string[];
  variables: Readonly<Record<string, string>>;
}): string {
  const { project, composeFiles, variables } = options;
  const own = { COMPOSE_PROJECT_NAME: project, COMPOSE_FILE: composeFiles.join(":") };
  const all = { ...variables, ...own };
  const lines = Object.entries(all)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => `${name}='${value.replaceAll("'", "\\'")}'`);
  return `# Written by Groundwork: changes made here are lost.\n${lines.join("\n")}\n`;
}

/** Where a project lies on its host: the one place that knows. */
export interface Layout {
  /** What Compose and people use: a link to the release that runs. */
  path: string;
  /** The folder of the link. */
  parent: string;
  /** Beside it: releases, state and lock. */
  store: string;
  /** The store as the link names it. */
  storeName: string;
}

export function layoutOf(path: string): Layout {
  const cut = path.lastIndexOf("/");
  const storeName = `.${path.slice(cut + 1)}.groundwork`;
  const parent = path.slice(0, cut);
  return { path, parent, store: `${parent}/${storeName}`, storeName };
}

/** Written by us into a release, beside the project's own files. */
export const overrideFile = "compose.groundwork.yaml";
export const environmentFile = ".env";
/** Names that a project may not have. */
export const reservedFiles = [overrideFile, environmentFile];

/** The label on every service whose value changes with the files that the service mounts. */
export const filesLabel = "dev.groundwork.files";

/** `<digest of the content>-<token of the deployment>`. */
export function releaseName(digest: string, token: string): string {
  return `${digest.slice(0, 12)}-${token}`;
}

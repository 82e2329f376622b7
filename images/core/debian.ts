import { imageError } from "./errors.ts";

/** The release that is built where this machine does not run Debian itself. */
export const defaultRelease = "trixie";

/** The releases that the recipe is known to build. */
export const debianReleases = ["bookworm", "trixie"] as const;
export type DebianRelease = (typeof debianReleases)[number];

/** From what Debian release and which mirrors an image is built. */
export interface DebianSource {
  /** Such as `bookworm`. */
  release: string;
  /** Lines of sources.list; none means Debian's own mirrors. */
  sources: string[];
}

/** The columns that {@link parseIndexTargets} wants of `apt-get indextargets --format`. */
export const indexTargetFormat =
  "$(CREATED_BY)|$(ORIGIN)|$(CODENAME)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)";

/** One index of packages that apt knows of. */
export interface IndexTarget {
  /** `Debian` for Debian's own; empty before the first `apt-get update`. */
  origin: string;
  codename: string;
  uri: string;
  suite: string;
  component: string;
}

/** Reads the output of `apt-get indextargets`: the indexes of binary packages, without repetition. */
export function parseIndexTargets(text: string): IndexTarget[] {
  const rows = [...new Set(text.split("\n"))].map((line) => line.trim().split("|"));
  return rows.flatMap(([createdBy, origin, codename, uri, suite, component]) => {
    if (createdBy !== "Packages" || !uri || !suite || !component) return [];
    return [{ origin: origin ?? "", codename: codename ?? "", uri, suite, component }];
  });
}

/** Reads what an `os-release` file says: `ID` and `VERSION_CODENAME`. */
export function parseOsRelease(text: string): { id?: string; codename?: string } {
  const values = new Map(
    text.split("\n").map((line) => {
      const [name = "", ...value] = line.trim().split("=");
      return [name, value.join("=").replace(/^(["'])(.*)\1$/, "$2")];
    }),
  );
  const [id, codename] = [values.get("ID"), values.get("VERSION_CODENAME")];
  return { ...(id && { id }), ...(codename && { codename }) };
}

/**
 * On Debian, its own mirrors (main, updates and security; nothing of third parties or backports) and,
 * unless another is wanted, its own release; elsewhere the stable one from Debian's own mirrors.
 *
 * @throws GroundworkError `release-unknown` on a Debian whose mirrors cannot be told.
 */
export function planDebianSource(
  os: { id?: string; codename?: string },
  targets: readonly IndexTarget[],
  wanted?: DebianRelease,
): DebianSource {
  if (os.id !== "debian") return { release: wanted ?? defaultRelease, sources: [] };
  const release = os.codename ?? "";
  const usable = targets.filter(
    ({ origin, suite, uri, component }) =>
      (origin === "Debian" || origin === "") &&
      [release, `${release}-updates`, `${release}-security`].includes(suite) &&
      /^https?:\/\/\S+$/.test(uri) &&
      component === "main",
  );
  if (release === "" || !usable.some(({ suite }) => suite === release))
    throw imageError(
      "release-unknown",
      `Cannot tell from which Debian mirror to build: apt on this machine has no source for main of "${release}".`,
      { next: "Add one to /etc/apt/sources.list, or give the image a url instead of build." },
    );
  const lines = usable.map(({ uri, suite }) => {
    const [, rest = ""] = suite.split(release);
    return `deb ${uri.replace(/\/*$/, "/")} ${wanted ?? release}${rest} main`;
  });
  return { release: wanted ?? release, sources: [...new Set(lines)].sort() };
}

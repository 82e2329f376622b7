/** A version of k3s, by its parts. */
export interface Version {
  minor: number;
  patch: number;
  /** A release candidate's number; Infinity for a release. */
  candidate: number;
  /** k3s's own number. */
  build: number;
}

/** Reads `v1.34.3+k3s1` or `v1.35.0-rc1+k3s1`; undefined for anything else. */
export function parseVersion(text: string): Version | undefined {
  const match = /^v1\.(\d{1,3})\.(\d{1,3})(?:-rc(\d{1,2}))?\+k3s(\d{1,2})$/.exec(text);
  if (match === null) return undefined;
  const [, minor, patch, candidate, build] = match;
  return {
    minor: Number(minor),
    patch: Number(patch),
    candidate: candidate === undefined ? Number.POSITIVE_INFINITY : Number(candidate),
    build: Number(build),
  };
}

/** Below zero where `one` is the older version. */
export function compareVersions(one: Version, other: Version): number {
  for (const key of ["minor", "patch", "candidate", "build"] as const)
    if (one[key] !== other[key]) return one[key] < other[key] ? -1 : 1;
  return 0;
}

import { type GroundworkError, tail } from "../../providers/errors.ts";
import { imageError } from "./errors.ts";

/** Says in one paragraph why the builder failed, by what it printed. */
export function explainBuildFailure(
  name: string,
  exitCode: number,
  output: string,
  logFile: string,
): GroundworkError {
  const start = `Cannot build image "${name}"`;
  const log = `The whole output is in ${logFile}.`;
  const unknown = [
    ...output.matchAll(
      /Unable to locate package (\S+)|Package '?(\S+?)'? has no installation candidate/g,
    ),
  ].map((match) => match[1] ?? match[2] ?? "");
  if (unknown.length > 0)
    return imageError(
      "package-not-found",
      `${start}: its mirror has no package ${[...new Set(unknown)].join(", ")}.`,
      { next: "Correct build.packages of the image in the stack's configuration." },
    );
  if (/Could not allocate (block|inode)|No free space in|Not enough space to build/.test(output))
    return imageError("image-too-small", `${start}: its packages do not fit on the disk. ${log}`, {
      next: "Raise build.sizeGiB of the image.",
    });
  if (output.includes("No space left on device"))
    return imageError("disk-full", `${start}: the disk is full. ${log}`, {
      next: "Make room, then run the same command again.",
    });
  if (
    /Temporary failure resolving|Could not resolve|Could not connect|Failed to fetch|Connection (timed out|refused)/.test(
      output,
    )
  )
    return imageError(
      "mirror-unreachable",
      `${start}: the Debian mirror cannot be reached (${firstError(output)}). ${log}`,
      { next: "Check that `apt-get update` works here, then run the same command again." },
    );
  if (
    /newuidmap|uid_map|unshare: (?:unshare failed|failed to find|write failed)|Operation not permitted/.test(
      output,
    )
  )
    return imageError(
      "image-build-failed",
      `${start}: this user may not make a root folder. ${log}\n${tail(output, 4)}\n`,
      {
        next: "Run as root, or have an administrator give you ids in /etc/subuid and /etc/subgid (package uidmap).",
      },
    );
  return imageError(
    "image-build-failed",
    `${start} (exit code ${String(exitCode)}): ${tail(output, 6)}. ${log}`,
    { next: "Mend what the message names, then run the same command again." },
  );
}

function firstError(output: string): string {
  return /^(?:E|W|Err).*$/m.exec(output)?.[0].slice(0, 200) ?? "see the log";
}

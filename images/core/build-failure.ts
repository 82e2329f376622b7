import { type GroundworkError, tail } from "../../providers/errors.ts";
import { type ImageCode, imageError } from "./errors.ts";

/** What the builder's output shows, the code for it, what to say and what to do next. */
interface Symptom {
  shown: RegExp;
  code: ImageCode;
  say: (output: string) => string;
  next: string;
}

const again = "then run the same command again.";
const unknownPackage =
  /Unable to locate package (\S+)|Package '?(\S+?)'? has no installation candidate/;
const unusableFile = /^file \/\S+: (a link|the image has|.* was changed)/m;
const unreachable =
  /Temporary failure resolving|Could not resolve|Could not connect|Failed to fetch|Connection (timed out|refused)/;

/** The first that matches counts. */
const symptoms: readonly Symptom[] = [
  {
    shown: unknownPackage,
    code: "package-not-found",
    say: (output) => {
      const found = [...output.matchAll(new RegExp(unknownPackage, "g"))];
      const names = new Set(found.map((match) => match[1] ?? match[2] ?? ""));
      return `the mirror has no package ${[...names].join(", ")}`;
    },
    next: "Correct build.packages of the image in the stack's configuration.",
  },
  {
    shown: unusableFile,
    code: "image-file-unusable",
    say: (output) => lineWith(unusableFile, output),
    next: "Correct build.files of the image in the stack's configuration.",
  },
  {
    shown: /Could not allocate (block|inode)|No free space in|Not enough space to build/,
    code: "image-too-small",
    say: () => "its packages do not fit on its disk",
    next: "Raise build.sizeGiB of the image.",
  },
  {
    shown: /No space left on device/,
    code: "disk-full",
    say: () => "the disk of this machine is full",
    next: `Make room, ${again}`,
  },
  {
    shown: unreachable,
    code: "mirror-unreachable",
    say: (output) =>
      `the Debian mirror cannot be reached (${lineWith(unreachable, output).slice(0, 200)})`,
    next: `Check that \`apt-get update\` works here, ${again}`,
  },
  {
    shown: /newuidmap|uid_map|unshare: .*(failed|Operation not permitted)/,
    code: "image-build-failed",
    say: (output) => `this user may not make the root folder (${tail(output, 1)})`,
    next: "Run as root, or have an administrator give you ids in /etc/subuid and /etc/subgid (package uidmap).",
  },
];

function lineWith(pattern: RegExp, text: string): string {
  return text.split("\n").find((line) => pattern.test(line)) ?? "";
}

/** Says in one paragraph why the builder failed, by what it printed. */
export function explainBuildFailure(
  name: string,
  exitCode: number,
  output: string,
  logFile: string,
): GroundworkError {
  const symptom = symptoms.find(({ shown }) => shown.test(output));
  const seen = symptom?.say(output) ?? `exit code ${String(exitCode)}: ${tail(output, 6)}`;
  return imageError(
    symptom?.code ?? "image-build-failed",
    `Cannot build image "${name}": ${seen}. The whole output is in ${logFile}.`,
    { next: symptom?.next ?? `Mend what the message names, ${again}` },
  );
}

import * as assert from "node:assert/strict";
import { explainBuildFailure } from "../../../../images/core/build-failure.ts";

const explain = (output: string): ReturnType<typeof explainBuildFailure> =>
  explainBuildFailure("debian", 1, output, "/cache/images/build.log");

describe("explainBuildFailure", () => {
  const cases: [title: string, output: string, code: string, said: RegExp][] = [
    [
      "names every package that the mirror has not",
      "E: Unable to locate package nosuch\nE: Package 'gone' has no installation candidate\n",
      "package-not-found",
      /no package nosuch, gone.*build\.packages/,
    ],
    [
      "tells a full disk of this machine",
      "tar: ./usr/bin/x: Cannot write: No space left on device\n",
      "disk-full",
      /disk of this machine is full.*build\.log/,
    ],
    [
      "tells an image that is too small for its packages",
      "mke2fs: Could not allocate block in ext2 filesystem while populating file system\n",
      "image-too-small",
      /sizeGiB/,
    ],
    [
      "names a file that does not go where it is to go",
      "phase: root file system\nfile /bin: the image has a folder or a link of that name\n",
      "image-file-unusable",
      /file \/bin: the image has a folder.*build\.files/,
    ],
    [
      "tells a mirror that does not answer",
      "E: Failed to fetch http://mirror.example.org/x  Temporary failure resolving 'mirror.example.org'\n",
      "mirror-unreachable",
      /Temporary failure resolving 'mirror\.example\.org'.*apt-get update/s,
    ],
    [
      "tells a user who may not make namespaces",
      "unshare: unshare failed: Operation not permitted\n",
      "image-build-failed",
      /\/etc\/subuid/,
    ],
    [
      "shows the end of what it does not know",
      "first\nlast words\n",
      "image-build-failed",
      /last words/,
    ],
  ];
  for (const [title, output, code, said] of cases)
    it(title, () => {
      const error = explain(output);
      assert.equal(error.code, code);
      assert.match(error.message, said);
      assert.match(error.message, /image "debian"/);
    });
});

import { z } from "zod";
import { text } from "./primitives.ts";

/** Folders that are not on the disk of a running machine. */
const mounted = /^\/(dev|proc|run|sys|tmp)(\/|$)/;

const imageFile = z
  .strictObject({
    source: text(
      /^\S(.*\S)?$/,
      "a path or a URL on one line",
      "A file of this machine, relative to the checkout or absolute, or an http(s) URL, which needs sha256.",
      "/usr/local/bin/tool",
    ),
    sha256: text(
      /^[0-9a-fA-F]{64}$/,
      "64 hexadecimal digits",
      "The SHA-256 that the file must have.",
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ).optional(),
    path: text(
      /^(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._@+-]+)+$/,
      "an absolute path of letters, digits and ._@+- without . and .. as parts",
      "Where it lies in the image. Folders that are missing are made.",
      "/usr/local/bin/tool",
    ).refine(
      (path) => !mounted.test(path),
      "a path that is not below /dev, /proc, /run, /sys or /tmp",
    ),
    mode: text(
      /^0[0-7]{3}$/,
      "four octal digits in quotes, the first of them 0",
      "Its permissions; it belongs to root.",
      "0755",
    ).default("0644"),
  })
  .refine(
    ({ source, sha256 }) => sha256 !== undefined || !/^https?:/.test(source),
    "sha256 beside a source that is a URL",
  );

export const imageFiles = z
  .array(imageFile)
  .default([])
  .refine((files) => new Set(files.map(({ path }) => path)).size === files.length, {
    error: "each path once",
  })
  .meta({
    description: "Files that the image shall have beside those of its packages.",
    examples: [[{ source: "/usr/local/bin/tool", path: "/usr/local/bin/tool", mode: "0755" }]],
  });

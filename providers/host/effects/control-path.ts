import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { GroundworkError } from "../../errors.ts";

/** A socket's path has at most 107 bytes, and ssh appends 17 of its own while it makes one. */
const longestPath = 107 - 17;

/**
 * Where `ssh` keeps the socket of a shared connection: in a folder that only we can use, under a name
 * that is short and differs for every URI.
 *
 * @throws GroundworkError `unsafe-control-folder` when somebody else made that folder.
 */
export function controlPathFor(
  uri: string,
  parents: readonly string[] = [process.env["XDG_RUNTIME_DIR"] ?? "/tmp", "/tmp"],
): string {
  const uid = process.getuid?.() ?? 0;
  const digest = createHash("sha256").update(uri).digest("hex").slice(0, 16);
  const folders = parents.map((parent) => path.join(parent, `groundwork-ssh-${String(uid)}`));
  const folder =
    folders.find(
      (candidate) =>
        Buffer.byteLength(path.join(candidate, digest)) <= longestPath && isUsable(candidate),
    ) ?? path.join("/tmp", `groundwork-ssh-${String(uid)}`);
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const owner = fs.lstatSync(folder);
  if (!owner.isDirectory() || owner.uid !== uid || (owner.mode & 0o077) !== 0)
    throw new GroundworkError({
      code: "unsafe-control-folder",
      message: `Cannot share SSH connections in ${folder}: it is not a folder that only you can use.`,
      next: "Remove it, or set XDG_RUNTIME_DIR to a folder of your own.",
    });
  return path.join(folder, digest);
}

function isUsable(folder: string): boolean {
  try {
    fs.accessSync(path.dirname(folder), fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

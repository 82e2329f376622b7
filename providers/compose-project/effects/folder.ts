import * as fs from "node:fs/promises";
import * as path from "node:path";
import { default as ignore } from "ignore";
import { composeError } from "../core/errors.ts";
import { reservedFiles } from "../core/layout.ts";
import { type ProjectFile, sha256 } from "../core/manifest.ts";

/** A project is configuration and sources; what is larger than this in all belongs into an image. */
const largestBytes = 64 * 2 ** 20;

/**
 * Reads the files of a project, without those that its `.syncignore` names (in .gitignore's syntax).
 *
 * @throws GroundworkError `project-folder`, `reserved-file`, `project-too-large`
 */
export async function readProjectFolder(folder: string): Promise<ProjectFile[]> {
  const bad = (seen: string, next: string, code = "project-folder", cause?: unknown): Error =>
    composeError(code, `Cannot use the project in ${folder}: ${seen}.`, next, cause);
  const rules = ignore().add([".syncignore", ".git"]);
  const listed = await fs.readFile(path.join(folder, ".syncignore"), "utf8").catch(() => "");
  rules.add(listed);
  const files: ProjectFile[] = [];
  let bytes = 0;

  async function walk(below: string): Promise<void> {
    const entries = await fs
      .readdir(path.join(folder, below), { withFileTypes: true })
      .catch((cause: unknown) => {
        throw bad("it cannot be read", "Check `folder`.", "project-folder", cause);
      });
    for (const entry of entries) {
      const name = below === "" ? entry.name : `${below}/${entry.name}`;
      if (rules.ignores(entry.isDirectory() ? `${name}/` : name)) continue;
      if (/[\n\r\\]/.test(name))
        throw bad(`the name ${JSON.stringify(name)} has a line break or backslash`, "Rename it.");
      if (entry.isDirectory()) await walk(name);
      else if (entry.isFile()) await take(name);
      else
        throw bad(
          `${name} is neither a file nor a folder`,
          "Put a copy in its place, or name it in .syncignore.",
        );
    }
  }

  async function take(name: string): Promise<void> {
    if (reservedFiles.includes(name))
      throw bad(
        `${name} is a file that Groundwork writes itself`,
        "Remove it, or name it in .syncignore; settings and secrets belong into the stack's configuration.",
        "reserved-file",
      );
    const file = path.join(folder, name);
    const content = await fs.readFile(file);
    bytes += content.length;
    if (bytes > largestBytes)
      throw bad(
        `it has more than ${String(largestBytes / 2 ** 20)} MiB`,
        "Name what need not be there in .syncignore.",
        "project-too-large",
      );
    const executable = ((await fs.stat(file)).mode & 0o100) !== 0;
    files.push({
      path: name,
      content,
      sha256: sha256(content),
      // What else the mode has is the umask of whoever checked it out.
      mode: executable ? "0755" : "0644",
    });
  }

  await walk("");
  return files.sort((one, other) => (one.path < other.path ? -1 : 1));
}

import * as fs from "node:fs/promises";

/** The names in a folder; `undefined` when there is no such folder. */
export async function readNames(folder: string): Promise<string[] | undefined> {
  try {
    return await fs.readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

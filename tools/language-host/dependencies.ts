import * as fs from "node:fs";
import * as path from "node:path";

/** A package the program depends on, as `pulumi about` lists it. */
export interface Dependency {
  readonly name: string;
  readonly version: string;
}

interface Manifest {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** The direct dependencies in package.json of `directory`, with the versions installed; the range where none is. */
export function readDependencies(directory: string): Dependency[] {
  const manifest = readManifest(path.join(directory, "package.json"));
  const ranges = { ...manifest?.devDependencies, ...manifest?.dependencies };
  return Object.entries(ranges)
    .map(([name, range]) => ({ name, version: installedVersion(directory, name) ?? range }))
    .sort((a, b) => a.name.localeCompare(b.name));
}

function installedVersion(directory: string, name: string): string | undefined {
  const folders = [path.resolve(directory)];
  while (path.dirname(folders[0] ?? "/") !== folders[0])
    folders.unshift(path.dirname(folders[0] ?? "/"));
  return folders
    .reverse()
    .map((folder) => readManifest(path.join(folder, "node_modules", name, "package.json"))?.version)
    .find((version) => version !== undefined);
}

function readManifest(file: string): Manifest | undefined {
  try {
    return JSON.parse(fs.readFileSync(file, "utf8")) as Manifest;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

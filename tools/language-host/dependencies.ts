import * as fs from "node:fs";
import * as path from "node:path";

/** A package the program depends on, as `pulumi about` lists it. */
export interface Dependency {
  readonly name: string;
  readonly version: string;
}

/** A provider behind a generated SDK, which its `package.json` describes under `pulumi`. */
export interface ParameterizedPackage {
  /** The plugin that serves it, such as `terraform-provider`, and its version. */
  readonly name: string;
  readonly version: string;
  readonly parameterization: {
    readonly name: string;
    readonly version: string;
    /** Base64. */
    readonly value: string;
  };
}

interface Manifest {
  readonly version?: string;
  readonly pulumi?: Partial<ParameterizedPackage>;
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

/** The direct dependencies of `directory` that are SDKs of a parameterized provider. */
export function readParameterizedPackages(directory: string): ParameterizedPackage[] {
  return readDependencies(directory).flatMap(({ name: dependency }) => {
    const { name, version, parameterization } =
      installedManifest(directory, dependency)?.pulumi ?? {};
    if (name === undefined || version === undefined || parameterization === undefined) return [];
    return [{ name, version, parameterization }];
  });
}

function installedVersion(directory: string, name: string): string | undefined {
  return installedManifest(directory, name)?.version;
}

function installedManifest(directory: string, name: string): Manifest | undefined {
  const folders = [path.resolve(directory)];
  while (path.dirname(folders[0] ?? "/") !== folders[0])
    folders.unshift(path.dirname(folders[0] ?? "/"));
  return folders
    .reverse()
    .map((folder) => readManifest(path.join(folder, "node_modules", name, "package.json")))
    .find((manifest) => manifest?.version !== undefined);
}

function readManifest(file: string): Manifest | undefined {
  try {
    return JSON.parse(fs.readFileSync(file, "utf8")) as Manifest;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

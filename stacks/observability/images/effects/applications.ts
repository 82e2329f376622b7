import { createHash } from "node:crypto";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { runStep } from "./layer.ts";

/** The project's own folder. */
export const projectFolder = path.resolve(import.meta.dirname, "../..");

/** Python of the Debian release that images are made of. */
const pythonVersion = "3.11";

/** What of an application's folder goes into its image, or decides what does. */
const sources = {
  frontend: [
    ...["src", "public", "index.html", "nginx.conf", "vite.config.ts", "tsconfig.json"],
    ...["package.json", "package-lock.json", ".npmrc"],
  ],
  backend: ["taskmanager", "requirements.txt"],
} as const;

/** SHA-256 over names and contents of an application's sources, in hex. */
export async function digestApplication(application: keyof typeof sources): Promise<string> {
  const folder = path.join(projectFolder, application);
  const hash = createHash("sha256");
  for (const source of sources[application])
    for (const file of await filesBelow(path.join(folder, source)))
      hash.update(
        JSON.stringify([path.relative(folder, file), (await fs.readFile(file)).toString("base64")]),
      );
  return hash.digest("hex");
}

async function filesBelow(file: string): Promise<string[]> {
  if (!(await fs.stat(file)).isDirectory()) return [file];
  const names = (await fs.readdir(file)).filter((name) => name !== "__pycache__").sort();
  return (await Promise.all(names.map((name) => filesBelow(path.join(file, name))))).flat();
}

/** Builds an application and puts it into an image's root. */
export async function addApplication(
  application: keyof typeof sources,
  root: string,
): Promise<void> {
  if (application === "frontend") await addFrontend(root);
  else await addBackend(root);
}

/** In a copy of the sources, since the folder may have packages and builds of a developer's. */
async function addFrontend(root: string): Promise<void> {
  const copy = path.join(root, "..", "frontend");
  for (const source of sources.frontend)
    await fs.cp(path.join(projectFolder, "frontend", source), path.join(copy, source), {
      recursive: true,
    });
  await runStep("npm", ["ci", "--ignore-scripts", "--prefer-offline"], { cwd: copy });
  await runStep("npm", ["run", "build"], { cwd: copy });
  await fs.cp(path.join(copy, "dist"), path.join(root, "srv/www"), { recursive: true });
  await fs.copyFile(path.join(copy, "nginx.conf"), path.join(root, "etc/nginx/nginx.conf"));
}

async function addBackend(root: string): Promise<void> {
  const folder = path.join(projectFolder, "backend");
  const target = path.join(root, "app/packages");
  // Wheels for the image's Python, which need not be this machine's.
  await runStep("python3", [
    ...[
      "-m",
      "pip",
      "install",
      "--quiet",
      "--disable-pip-version-check",
      "--root-user-action=ignore",
    ],
    ...["--require-hashes", "--only-binary=:all:", "--no-compile", "--target", target],
    ...["--python-version", pythonVersion, "--implementation", "cp", "--platform"],
    ...["manylinux2014_x86_64", "--platform", "manylinux_2_28_x86_64"],
    ...["--requirement", path.join(folder, "requirements.txt")],
  ]);
  await fs.rm(path.join(target, "bin"), { recursive: true, force: true });
  await fs.cp(path.join(folder, "taskmanager"), path.join(root, "app/taskmanager"), {
    recursive: true,
    filter: (file) => path.basename(file) !== "__pycache__",
  });
}

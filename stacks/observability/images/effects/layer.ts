import { execa } from "execa";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { GroundworkError, tail } from "../../../../providers/errors.ts";
import { group, passwd } from "../core/archive.ts";
import { type ImageRecipe, type ProgramName, debianRelease, ownerId } from "../core/recipes.ts";
import { addApplication } from "./applications.ts";

/** What no image needs of its packages. */
const unwanted = [
  "./dev",
  "./usr/share/doc",
  "./usr/share/info",
  "./usr/share/javascript/moment-timezone/data/unpacked",
  "./usr/share/lintian",
  "./usr/share/locale",
  "./usr/share/man",
  "./var/cache",
  "./var/lib/apt",
  "./var/lib/dpkg",
];

/** As it is for a command that makes a part of an image: what it wrote is told when it fails. */
export async function runStep(
  file: string,
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<void> {
  const result = await execa(file, args, { ...options, all: true, reject: false, stdin: "ignore" });
  if (result.exitCode === 0) return;
  throw new GroundworkError({
    code: "container-image-failed",
    message: `Cannot make a part of a container image: \`${[file, ...args].join(" ")}\` failed:\n${tail(result.all)}\n`,
    next: "Mend what it says, then build the images again; what was finished is kept.",
  });
}

/** Puts an image's root file system together in `work`, and gives the path of its one layer. */
export async function makeLayer(
  recipe: ImageRecipe,
  programs: Readonly<Record<ProgramName, string>>,
  work: string,
): Promise<string> {
  const root = path.join(work, "root");
  await fs.mkdir(root, { recursive: true });
  if (recipe.packages.length > 0) await unpackPackages(recipe.packages, work, root);
  if (recipe.keep !== undefined) await keepOnly(root, recipe.keep);
  if (recipe.application !== undefined) await addApplication(recipe.application, root);
  await fs.mkdir(path.join(root, "usr/bin"), { recursive: true });
  for (const name of recipe.programs)
    await fs.copyFile(programs[name], path.join(root, "usr/bin", name));
  await fs.copyFile(programs.healthcheck, path.join(root, "healthcheck"));
  await fs.mkdir(path.join(root, "etc"), { recursive: true });
  await fs.writeFile(path.join(root, "etc/passwd"), passwd);
  await fs.writeFile(path.join(root, "etc/group"), group);
  for (const folder of ["tmp", "proc", "sys", "dev"])
    await fs.mkdir(path.join(root, folder), { recursive: true });
  await fs.chmod(path.join(root, "tmp"), 0o1777);
  return packLayer(root, recipe.ownFolders, work);
}

async function unpackPackages(
  packages: readonly string[],
  work: string,
  root: string,
): Promise<void> {
  const all = path.join(work, "packages.tar");
  // Unpacks them with their dependencies and runs no maintainer's script, so it needs no root.
  await runStep("mmdebstrap", [
    ...["--variant=extract", "--format=tar", "--quiet"],
    ...[`--include=${packages.join(",")}`, debianRelease, all],
  ]);
  await runStep("tar", [
    ...["--extract", "--file", all, "--directory", root, "--no-same-owner"],
    ...[
      "--delay-directory-restore",
      "--mode=u+rwX",
      ...unwanted.map((name) => `--exclude=${name}`),
    ],
  ]);
  await fs.rm(all);
}

/** Removes all but these paths and what is below them. */
async function keepOnly(root: string, keep: readonly string[], below = ""): Promise<void> {
  for (const name of await fs.readdir(path.join(root, below))) {
    const each = path.join(below, name);
    if (keep.includes(each)) continue;
    if (keep.some((kept) => kept.startsWith(`${each}/`))) await keepOnly(root, keep, each);
    else await fs.rm(path.join(root, each), { recursive: true, force: true });
  }
}

/** One layer: the same content gives the same bytes, whoever packs it and when. */
async function packLayer(
  root: string,
  ownFolders: readonly string[],
  work: string,
): Promise<string> {
  const layer = path.join(work, "layer.tar");
  const same = ["--sort=name", "--mtime=@0", "--numeric-owner", "--format=posix"];
  const header = "--pax-option=delete=atime,delete=ctime";
  await runStep("tar", [
    ...["--create", "--file", layer, ...same, header, "--owner=0", "--group=0"],
    ...["--mode=go+rX,go-w", "--directory", root, "--exclude=./tmp", "."],
  ]);
  const own = path.join(work, "own");
  for (const folder of ownFolders) await fs.mkdir(path.join(own, folder), { recursive: true });
  const id = String(ownerId);
  for (const folder of ownFolders)
    await runStep("tar", [
      ...["--append", "--file", layer, ...same, header, `--owner=${id}`, `--group=${id}`],
      ...["--mode=0750", "--directory", own, folder],
    ]);
  await runStep("tar", [
    ...["--append", "--file", layer, ...same, header, "--owner=0", "--group=0"],
    ...["--mode=1777", "--directory", root, "tmp"],
  ]);
  return layer;
}

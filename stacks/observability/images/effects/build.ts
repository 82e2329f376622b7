import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { imageTag, renderImageConfig, renderManifest } from "../core/archive.ts";
import {
  type ImageName,
  type ImageRecipe,
  type ProgramName,
  debianRelease,
  imageNames,
  imageRecipes,
} from "../core/recipes.ts";
import { digestApplication } from "./applications.ts";
import { makeLayer, runStep } from "./layer.ts";

/** Counts up when the same inputs come to another image. */
const builderVersion = 1;

/** An image as a file that `docker load` reads. */
export interface ImageArchive {
  readonly name: ImageName;
  /** The name under which it is loaded. */
  readonly tag: string;
  /** Path of the file. */
  readonly file: string;
}

export interface BuildOptions {
  /** Where images are kept, outside the checkout: those of the same inputs are not built again. */
  readonly cache: string;
  /** The files of the programs that go into images. */
  readonly programs: Readonly<Record<ProgramName, string>>;
  /** Default: all that can be made. */
  readonly names?: readonly ImageName[];
  readonly report: (line: string) => void;
}

/**
 * Makes the container images, unless the cache has them; one at a time, and each appears whole or not at all.
 *
 * @throws GroundworkError `container-image-failed`
 */
export async function ensureImages(options: BuildOptions): Promise<ImageArchive[]> {
  const folder = path.join(options.cache, "container-images");
  await fs.mkdir(folder, { recursive: true });
  const archives: ImageArchive[] = [];
  for (const name of options.names ?? imageNames) {
    const recipe = imageRecipes[name];
    const key = await imageKey(name, recipe, options.programs);
    const file = path.join(folder, `${name}-${key}.tar`);
    const archive = { name, tag: imageTag(name, key), file };
    if (!(await exists(file))) {
      const started = performance.now();
      await build(archive, recipe, options.programs);
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      options.report(`made the image ${archive.tag} in ${seconds} s`);
    }
    archives.push(archive);
  }
  return archives;
}

async function exists(file: string): Promise<boolean> {
  return fs.access(file).then(
    () => true,
    () => false,
  );
}

/** Names the inputs of an image: the same key, the same image. */
async function imageKey(
  name: ImageName,
  recipe: ImageRecipe,
  programs: Readonly<Record<ProgramName, string>>,
): Promise<string> {
  const hash = createHash("sha256");
  hash.update(JSON.stringify([builderVersion, debianRelease, name, recipe]));
  for (const program of [...recipe.programs, "healthcheck"] as const)
    hash.update(await digestFile(programs[program]));
  if (recipe.application !== undefined) hash.update(await digestApplication(recipe.application));
  return hash.digest("hex").slice(0, 16);
}

async function digestFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }))
    hash.update(chunk as Buffer);
  return hash.digest("hex");
}

async function build(
  { tag, file }: ImageArchive,
  recipe: ImageRecipe,
  programs: Readonly<Record<ProgramName, string>>,
): Promise<void> {
  const work = await fs.mkdtemp(`${file}.`);
  try {
    // mmdebstrap may write below it as another user.
    await fs.chmod(work, 0o755);
    const layer = await makeLayer(recipe, programs, work);
    const digest = await digestFile(layer);
    await fs.writeFile(path.join(work, "config.json"), renderImageConfig(recipe, digest));
    await fs.writeFile(path.join(work, "manifest.json"), renderManifest(tag));
    const archive = path.join(work, "archive.tar");
    await runStep("tar", [
      ...["--create", "--file", archive, "--sort=name", "--mtime=@0", "--owner=0", "--group=0"],
      ...["--numeric-owner", "--directory", work, "manifest.json", "config.json", "layer.tar"],
    ]);
    await fs.rename(archive, file);
  } finally {
    await fs.rm(work, { recursive: true, force: true });
  }
}

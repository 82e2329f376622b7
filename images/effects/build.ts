import * as fs from "node:fs/promises";
import * as path from "node:path";
import { formatBytes } from "../../providers/image-volume/core/errors.ts";
import { quoteAll } from "../../providers/host/core/script.ts";
import { openHost } from "../../providers/host/effects/host.ts";
import type { DebianRelease } from "../core/debian.ts";
import { explainBuildFailure } from "../core/build-failure.ts";
import { imageError } from "../core/errors.ts";
import {
  type BuildInputs,
  buildKey,
  bytesToBuild,
  type ImageFile,
  type LocalImage,
  type ResolvedFile,
} from "../core/plan.ts";
import { imageFolder, readEntry, requireRoom } from "./cache.ts";
import { resolveFiles } from "./files.ts";
import { digestRecipe, readDebianSource, recipeFolder, requireTools } from "./recipe.ts";

interface BuildSpec {
  release?: DebianRelease | undefined;
  sizeGiB: number;
  packages: readonly string[];
  files: readonly ResolvedFile[];
}

/** Reads what, beside the configuration, decides the image. */
export async function readBuildInputs(spec: BuildSpec): Promise<BuildInputs> {
  const epoch = Number(process.env["SOURCE_DATE_EPOCH"] ?? "");
  return {
    ...spec,
    ...(await readDebianSource(spec.release)),
    recipeDigest: await digestRecipe(),
    ...(Number.isSafeInteger(epoch) && epoch > 0 && { epoch }),
  };
}

/**
 * Builds a Debian image, unless the cache has one of the same inputs.
 *
 * @throws GroundworkError `image-tools-missing`, `disk-full`, `package-not-found`,
 *   `mirror-unreachable`, `image-too-small`, `image-build-failed`, `image-file-unusable`
 */
export async function ensureBuilt(
  name: string,
  request: Omit<BuildSpec, "files"> & { files?: readonly ImageFile[] },
  cache: string,
  report: (line: string) => void,
): Promise<{ image: LocalImage; built: boolean }> {
  const folder = imageFolder(cache);
  const files = await resolveFiles(name, request.files ?? [], folder, report);
  const spec = { ...request, files };
  const inputs = await readBuildInputs(spec);
  const key = buildKey(inputs);
  const present = await readEntry(folder, key);
  if (present !== undefined) return { image: present, built: false };

  await requireTools(name);
  await clearRemains(folder);
  const needed = bytesToBuild(spec);
  const free = await requireRoom(folder, needed, `build image "${name}"`);
  const extra = spec.packages.length === 0 ? "" : ` with ${spec.packages.join(", ")}`;
  report(
    `${name}: building a Debian ${inputs.release} image${extra}, since ${folder} has none of these inputs. ` +
      `This takes 1 to 3 minutes and up to ${formatBytes(needed)} of disk (${formatBytes(free)} are free).`,
  );
  await runBuilder(name, inputs, key, folder, report);
  const image = await readEntry(folder, key);
  if (image === undefined)
    throw imageError(
      "image-build-failed",
      `The builder of image "${name}" left no image in ${folder}.`,
      {
        next: "Report this as a bug of images/debian/build.",
      },
    );
  return { image, built: true };
}

/** Removes what killed builds left, so that it does not count against the room. What fails here fails the builder, which says why. */
async function clearRemains(folder: string): Promise<void> {
  const command = quoteAll([path.join(recipeFolder, "build"), "--clear", folder]);
  await openHost("qemu:///system").tryRun(`export PATH="$PATH:/usr/sbin:/sbin"; exec ${command}`, {
    purpose: "clear what killed builds left",
    timeoutSeconds: 600,
  });
}

async function runBuilder(
  name: string,
  inputs: BuildInputs,
  key: string,
  folder: string,
  report: (line: string) => void,
): Promise<void> {
  const command = [
    path.join(recipeFolder, "build"),
    ...["--output", path.join(folder, `${key}.qcow2`), "--identity", key],
    ...["--release", inputs.release, "--size-gib", String(inputs.sizeGiB)],
    ...inputs.packages.flatMap((each) => ["--package", each]),
    ...inputs.sources.flatMap((each) => ["--source", each]),
    ...inputs.files.flatMap(({ mode, sha256, path: target, local }) => [
      "--file",
      [mode, sha256, target, local].join(":"),
    ]),
    ...(inputs.epoch === undefined ? [] : ["--epoch", String(inputs.epoch)]),
  ];
  const started = performance.now();
  const seconds = (): string => ((performance.now() - started) / 1000).toFixed(0);
  // Through the port of hosts for its leash: the builder ends with us, whatever ends us.
  const { exitCode, stdout, stderr } = await openHost("qemu:///system").tryRun(
    `export PATH="$PATH:/usr/sbin:/sbin"; exec ${quoteAll(command)} 2>&1`,
    {
      purpose: `build image "${name}"`,
      timeoutSeconds: 3600,
      onLine: (line) => {
        const phase = /^phase: (.*)$/.exec(line)?.[1];
        if (phase !== undefined) report(`${name}: ${seconds()} s: ${phase}`);
      },
    },
  );
  if (exitCode === 0) {
    report(`${name}: built in ${seconds()} s`);
    return;
  }
  const log = path.join(folder, "build.log");
  await fs.writeFile(log, stdout + stderr);
  throw explainBuildFailure(name, exitCode, stdout + stderr, log);
}

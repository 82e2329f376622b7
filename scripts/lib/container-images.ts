import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { pipeline } from "node:stream/promises";
import { containerImagesFile } from "../../config.ts";
import type { ContainerImage } from "../../config/observability.ts";
import { type ImageStore, openImageStore } from "../../images/effects/store.ts";
import {
  ensureImages,
  imageVariable,
  type ProgramName,
} from "../../stacks/observability/images/index.ts";
import type { Context } from "./context.ts";
import { readCredentials } from "./images.ts";
import { toolPaths } from "./tools-paths.ts";

/**
 * For `images: build`: makes the container images of the observability lab on this machine, puts
 * them into the object store, and writes down for the program which they are.
 */
export async function ensureContainerImages(
  { config, cache, home, environment }: Context,
  report: (line: string) => void,
): Promise<void> {
  if (config.observability?.images !== "build") return;
  const made = await ensureImages({ cache, programs: imagePrograms(environment), report });
  const store = openImageStore({
    ...config.objectStore,
    credentials: await readCredentials(environment),
  });
  const images: ContainerImage[] = [];
  for (const { name, tag, file } of made) {
    const key = `container-images/${path.basename(file)}`;
    const sha256 = await ensureArchive(store, key, file, report);
    images.push({ variable: imageVariable(name), image: tag, key, sha256 });
  }
  const list = path.join(home, containerImagesFile);
  fs.writeFileSync(`${list}.tmp`, `${JSON.stringify(images, undefined, 2)}\n`);
  fs.renameSync(`${list}.tmp`, list);
}

/** The programs that set-up built and that images hold. */
export function imagePrograms(
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<ProgramName, string>> {
  const { collector, loki, tempo, healthcheck, cadvisor } = toolPaths(environment);
  return { otelcol: collector, loki, tempo, healthcheck, cadvisor };
}

/** Puts an archive into the store unless it is there; gives its digest. */
export async function ensureArchive(
  store: ImageStore,
  key: string,
  file: string,
  report: (line: string) => void,
): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(fs.createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  const digest = hash.digest("hex");
  const bytes = fs.statSync(file).size;
  const { object, sidecar } = await store.read(key);
  if (object?.digest !== digest || object.bytes !== bytes) {
    await store.upload(key, { path: file, bytes, digest }, () => undefined);
    report(`${key}: uploaded`);
  }
  if (sidecar !== digest) await store.writeSidecar(key, digest);
  return digest;
}

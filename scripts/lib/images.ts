import * as fs from "node:fs/promises";
import { z } from "zod";
import { ensureImage } from "../../images/index.ts";
import { GroundworkError } from "../../providers/errors.ts";
import type { Context } from "./context.ts";
import { formatBytes } from "./units.ts";

const credentialsSchema = z.object({ accessKey: z.string().min(1), secretKey: z.string().min(1) });

/** What opens the object store. */
export type Credentials = z.infer<typeof credentialsSchema>;

/**
 * The credentials of the object store: MINIO_ACCESS_KEY and MINIO_SECRET_KEY, else the file that
 * GROUNDWORK_OBJECT_STORE_CREDENTIALS names.
 *
 * @throws GroundworkError `no-credentials`
 */
export async function readCredentials(env: NodeJS.ProcessEnv): Promise<Credentials> {
  const given = credentialsSchema.safeParse({
    accessKey: env["MINIO_ACCESS_KEY"],
    secretKey: env["MINIO_SECRET_KEY"],
  });
  if (given.success) return given.data;
  const file = env["GROUNDWORK_OBJECT_STORE_CREDENTIALS"];
  if (file === undefined || file === "")
    throw new GroundworkError({
      code: "no-credentials",
      message: "There are no credentials for the object store.",
      next: "Set MINIO_ACCESS_KEY and MINIO_SECRET_KEY, or GROUNDWORK_OBJECT_STORE_CREDENTIALS to a JSON file with accessKey and secretKey.",
    });
  try {
    return credentialsSchema.parse(JSON.parse(await fs.readFile(file, "utf8")));
  } catch (cause) {
    throw new GroundworkError({
      code: "no-credentials",
      message: `Cannot read the object store's credentials from ${file}.`,
      next: "Give it a JSON object with accessKey and secretKey.",
      cause,
    });
  }
}

/** Brings every image that is built or taken from a URL into the object store. */
export async function ensureImages(
  { config, cache, environment }: Context,
  report: (line: string) => void,
): Promise<void> {
  const ours = config.images.filter(({ build, url }) => build !== undefined || url !== undefined);
  if (ours.length === 0) return;
  const credentials = await readCredentials(environment);
  const store = { ...config.objectStore, credentials };
  for (const image of ours) {
    const { digest, bytes, built, uploaded } = await ensureImage(image, { cache, store, report });
    const deeds = [...(built ? ["built"] : []), ...(uploaded ? ["uploaded"] : [])];
    const done = deeds.length === 0 ? "is in the store" : deeds.join(" and ");
    report(`${image.name}: ${done}, ${formatBytes(bytes)}, sha256 ${digest.slice(0, 12)}…`);
  }
}

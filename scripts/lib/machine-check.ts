import * as fs from "node:fs/promises";
import * as os from "node:os";
import { GroundworkError } from "../../providers/errors.ts";
import type { Context } from "./context.ts";
import { planDiskNeeds } from "./needs-plan.ts";
import { formatBytes } from "./units.ts";

interface Space {
  folder: string;
  device: number;
  freeBytes: number;
}

async function readSpace(folder: string): Promise<Space> {
  await fs.mkdir(folder, { recursive: true });
  const [{ bavail, bsize }, { dev }] = await Promise.all([fs.statfs(folder), fs.stat(folder)]);
  return { folder, device: dev, freeBytes: bavail * bsize };
}

/**
 * Says what this machine offers and what the stack needs of it, and refuses what cannot work.
 *
 * @throws GroundworkError `unsupported-system`, `not-enough-disk-space`.
 */
export async function checkMachine(
  context: Context,
  report: (line: string) => void,
): Promise<void> {
  if (process.platform !== "linux")
    throw new GroundworkError({
      code: "unsupported-system",
      message: `Groundwork runs on Linux, and this is ${process.platform}.`,
      next: "Run it on a Linux machine; its hypervisors may be elsewhere.",
    });
  const memory = formatBytes(os.totalmem());
  report(`${String(os.availableParallelism())} CPUs, ${memory} of memory`);

  const needs = planDiskNeeds(context.config);
  const [home, cache] = await Promise.all([readSpace(context.home), readSpace(context.cache)]);
  const wanted =
    home.device === cache.device
      ? [{ ...home, bytes: needs.homeBytes + needs.cacheBytes }]
      : [
          { ...home, bytes: needs.homeBytes },
          { ...cache, bytes: needs.cacheBytes },
        ];
  for (const { folder, freeBytes, bytes } of wanted) {
    const free = formatBytes(freeBytes);
    report(`${free} of disk free for ${folder}, at most ${formatBytes(bytes)} needed`);
    if (freeBytes < bytes)
      throw new GroundworkError({
        code: "not-enough-disk-space",
        message: `There is not enough disk space for ${folder}: ${free} are free, and volumes and images may take ${formatBytes(bytes)}.`,
        next: "Free some, make the volumes smaller, or set GROUNDWORK_HOME and GROUNDWORK_CACHE to folders on a larger disk.",
      });
  }
}

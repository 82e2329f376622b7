import * as readline from "node:readline";
import { explainError } from "./core/explain.ts";
import { progressOf, type Report, type Work } from "./core/jobs.ts";
import type { Target } from "./effects/worker-process.ts";
import { prewarmImage } from "../providers/image-cache/effects/prewarm.ts";
import { endRunningScripts } from "../providers/host/effects/host.ts";
import { observeHost, readCacheLayout } from "../providers/image-volume/effects/hosts.ts";
import { onProgress } from "../providers/image-volume/effects/progress.ts";
import { isOurs } from "../providers/image-volume/core/plan.ts";
import { refusalOf } from "../providers/image-volume/effects/apply.ts";
import { ensureVolume, examineVolume } from "../providers/image-volume/effects/volumes.ts";

/*
 * Does one job, told in the first line of standard input, and reports in lines of JSON. When standard
 * input ends, so does what the job runs on its host, and then this process.
 */

const report = (line: Report): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};

/** Does the job; returns the digest of the image that is in the cache afterwards. */
async function run(
  { hypervisorUri, volumeGroup, owner, adopt }: Target,
  work: Work,
  begun: number | undefined,
): Promise<string> {
  const { image } = work;
  if (work.kind === "prewarm") {
    const { cache, digest } = await prewarmImage(hypervisorUri, image);
    report({ kind: "found", cacheHit: cache === "hit" });
    return digest;
  }
  const { volumeName, sizeGiB } = work;
  const args = { hypervisorUri, volumeGroup, volumeName, sizeGiB, image, owner, adopt };
  const before = await examineVolume(args, { fresh: true });
  if (before.planned.kind === "refusal") throw refusalOf(args, before.planned);
  const digest = before.desired.image?.digest ?? "";
  // A job asks for a fresh image, also where the volume holds this one: that is how machines are
  // provisioned again. One that was begun before a restart goes on with what it had begun.
  const { volume } = before.observed;
  const generation = begun ?? (volume?.marks.generation ?? 0) + 1;
  report({ kind: "found", cacheHit: before.observed.cachedBytes !== undefined, generation });
  // Adopting alone keeps the content.
  if (volume !== undefined && !isOurs(before.desired, volume)) await ensureVolume(args, { digest });
  await ensureVolume({ ...args, generation }, { digest });
  return digest;
}

let ending = false;
const lines = readline.createInterface({ input: process.stdin });
lines.once("line", (line) => {
  const { target, work, generation } = JSON.parse(line) as {
    target: Target;
    work: Work;
    generation?: number;
  };
  onProgress((event) => {
    report({ kind: "progress", progress: progressOf(event) });
  });
  void run(target, work, generation)
    .then(async (digest) => {
      const bytes = (await observeHost(target.hypervisorUri, { fresh: true })).cache.get(digest);
      report({ kind: "completed", imagePath: readCacheLayout().entry(digest, bytes ?? 0) });
    })
    .catch((error: unknown) => {
      if (!ending) report({ kind: "failed", error: explainError(error) });
    })
    .finally(() => {
      process.exit();
    });
});
lines.once("close", () => {
  ending = true;
  void endRunningScripts().finally(() => {
    process.exit(1);
  });
});

import type { VolumeGroupCommands } from "../../volume-group/core/commands.ts";
import { renderEnsureGolden } from "../core/golden.ts";
import { volumeId } from "../core/layout.ts";
import { parseStepOutcomes, type StepOutcome } from "../core/outcome.ts";
import type { Step } from "../core/plan.ts";
import type { ImageFile } from "../core/populate.ts";
import { readCacheLayout, runScript } from "./hosts.ts";
import { progressReporter } from "./progress.ts";

const ensuring = new Map<string, Promise<unknown>>();

/**
 * Makes sure of an image's golden volume. Runs of this process that want the same one wait for one
 * populate; runs of other processes wait for a lock on the host. Returns what this call did itself.
 *
 * @throws GroundworkError `thin-pool-full`, `thin-metadata-full`, `thin-pool-unfit`,
 *   `cache-entry-corrupt`, …
 */
export async function ensureGolden(args: {
  uri: string;
  commands: VolumeGroupCommands;
  volumeGroup: string;
  golden: Extract<Step, { kind: "makeGolden" }>;
  image: ImageFile;
  /** For progress lines. */
  volumeName: string;
}): Promise<StepOutcome[]> {
  const { uri, commands, volumeGroup, golden, image, volumeName } = args;
  const id = volumeId(volumeGroup, golden.golden);
  const key = `${id} ${uri}`;
  const running = ensuring.get(key);
  if (running !== undefined) {
    await running;
    return [];
  }
  const script = renderEnsureGolden({
    ...{ commands, volumeGroup, pool: golden.pool, image, rates: readCacheLayout().rates },
  });
  const started = runScript(uri, script, {
    subject: { purpose: `make golden volume "${id}"`, digest: image.digest },
    timeoutSeconds: 4 * 3600,
    load: "convert",
    onLine: progressReporter(volumeName, {}),
  })
    .then((values) => parseStepOutcomes(values.get("steps")))
    .finally(() => ensuring.delete(key));
  ensuring.set(key, started);
  return started;
}

import { renderRemoveGolden } from "../../image-volume/core/golden.ts";
import { forgetObservation, observeHost, runScript } from "../../image-volume/effects/hosts.ts";
import { volumeGroupCommands } from "../../volume-group/core/commands.ts";
import { type GoldenVolume, listGolden } from "../core/golden.ts";

/**
 * Removes the golden volumes that no volume of their pool was made from; with `dryRun` only says
 * which. The next volume with such an image has its pool decode it once more.
 */
export async function removeSpareGolden(
  uri: string,
  options: { dryRun?: boolean; digests?: readonly string[] } = {},
): Promise<GoldenVolume[]> {
  const host = await observeHost(uri, { fresh: true });
  const spare = listGolden(host.volumes).filter(
    ({ volumes, digest }) => volumes.length === 0 && options.digests?.includes(digest) !== false,
  );
  if (options.dryRun === true) return spare;
  const commands = volumeGroupCommands(host.activation);
  const removed: GoldenVolume[] = [];
  for (const golden of spare) {
    const { id, volumeGroup, volumeName, pool } = golden;
    const values = await runScript(
      uri,
      renderRemoveGolden({ commands, volumeGroup, pool, volumeName }),
      { subject: { purpose: `remove golden volume "${id}"` }, timeoutSeconds: 120 },
    ).finally(() => {
      forgetObservation(uri);
    });
    if (values.get("removed") === "yes") removed.push(golden);
  }
  return removed;
}

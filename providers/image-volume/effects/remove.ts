import { say } from "../../telemetry/effects/log.ts";
import { type Activation, volumeGroupCommands } from "../../volume-group/core/commands.ts";
import type { Wipe } from "../core/arguments.ts";
import { volumeId } from "../core/layout.ts";
import type { ObservedVolume } from "../core/parsers.ts";
import { renderRemove } from "../core/remove.ts";
import { forgetObservation, runScript } from "./hosts.ts";
import { progressReporter } from "./progress.ts";

/** Removes one volume, after its content as `wipe` says, if it still is what was seen. */
export async function runRemove(args: {
  uri: string;
  activation: Activation;
  volumeGroup: string;
  volumeName: string;
  seen: ObservedVolume;
  wipe: Wipe;
  /** Takes lines for the user; default: standard output, which is Pulumi's. */
  tell?: (line: string) => void;
}): Promise<void> {
  const { uri, activation, volumeGroup, volumeName, seen, wipe, tell = say } = args;
  const commands = volumeGroupCommands(activation);
  const script = renderRemove({ commands, volumeGroup, volumeName, seen, wipe });
  const values = await runScript(uri, script, {
    subject: { purpose: `remove volume "${volumeId(volumeGroup, volumeName)}"` },
    timeoutSeconds: 4 * 3600,
    onLine: progressReporter(volumeName, { zero: seen.sizeBytes }, tell),
  }).finally(() => {
    forgetObservation(uri);
  });
  if (values.has("undiscarded"))
    tell(`${volumeName}: its device cannot discard, so it was zeroed instead.`);
}

import { localUri, runScript } from "../../image-volume/effects/hosts.ts";
import { progressReporter } from "../../image-volume/effects/progress.ts";
import { say } from "../../telemetry/effects/log.ts";
import type { ShutdownArguments } from "../core/arguments.ts";
import { renderShutdown } from "../core/script.ts";

/** @throws GroundworkError `host-unreachable`, `command-failed` */
export async function shutDown(args: ShutdownArguments): Promise<void> {
  const { hypervisorUri, domain, uuid, timeoutSeconds } = args;
  const script = renderShutdown(localUri(hypervisorUri), uuid, timeoutSeconds);
  const values = await runScript(hypervisorUri, script, {
    subject: { purpose: `shut down domain "${domain}"` },
    timeoutSeconds: timeoutSeconds + 60,
    onLine: progressReporter(domain, {}),
  });
  if (values.has("forced"))
    say(
      `${domain}: was switched off, for it was paused or did not shut down within ${String(timeoutSeconds)} s`,
    );
}

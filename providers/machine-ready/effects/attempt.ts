import { execa } from "execa";
import { quote } from "../../host/core/script.ts";
import { parseAttempt, parseStage, renderGuestScript, type Sighting } from "../core/sighting.ts";
import { renderProxyCommand, type Route } from "../core/ssh-config.ts";

const sshOptions = {
  BatchMode: "yes",
  ConnectTimeout: "10", // the handshake of an emulated machine takes seconds while it boots
  ServerAliveInterval: "10",
  ServerAliveCountMax: "6",
};

/**
 * Tries once to reach a machine and, when it lets us in, waits there for the end of cloud-init.
 *
 * @param target.configFile the file that `ensureSshFiles` wrote, with the machine in it.
 */
export async function runAttempt(
  target: { configFile: string; name: string; route: Route },
  { signal, onStage }: { signal: AbortSignal; onStage: (stage: string) => void },
): Promise<Sighting> {
  const proxy = renderProxyCommand(target.route, { explain: true });
  const options = { ...sshOptions, ...(proxy !== undefined && { ProxyCommand: proxy }) };
  const words = Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  const command = `sh -c ${quote(renderGuestScript())}`;
  const child = execa("ssh", ["-F", target.configFile, "-T", ...words, target.name, command], {
    stdin: "ignore",
    reject: false,
    cancelSignal: signal,
    forceKillAfterDelay: 2000,
    env: { LC_ALL: "C" },
  });
  const stages = (async () => {
    for await (const line of child.iterable({ from: "stdout" })) {
      const stage = parseStage(line);
      if (stage !== undefined) onStage(stage);
    }
  })().catch(() => undefined); // the result below tells what went wrong
  const result = await child;
  await stages;
  return parseAttempt({
    exitCode: result.exitCode ?? 255,
    stdout: result.stdout,
    stderr: result.stderr !== "" ? result.stderr : (result.shortMessage ?? ""),
  });
}

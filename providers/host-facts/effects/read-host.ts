import { uriOnHost } from "../../host/core/uri-on-host.ts";
import { type Host, openHost } from "../../host/effects/host.ts";
import { type HostProbe, parseProbe, renderProbe } from "../core/probe.ts";

/** Looks at a host once. @throws GroundworkError as `Host.run`, such as `host-unreachable`. */
export async function readHost(
  hypervisorUri: string,
  options: { kvm: boolean },
): Promise<{ name: string; probe: HostProbe }> {
  const host: Host = openHost(hypervisorUri);
  const report = await host.run(renderProbe(uriOnHost(host.connection), options), {
    purpose: "look at the host",
    timeoutSeconds: 60,
  });
  return { name: host.name, probe: parseProbe(report) };
}

import { openHost } from "../../host/effects/host.ts";
import { quote } from "../../host/core/script.ts";
import { uriOnHost } from "../../host-facts/core/uri-on-host.ts";
import { type DomainState, parseDomainState, renderSerialTail } from "../core/domain-state.ts";

/** Asks libvirt how the domain is; `unknown` when it cannot be asked. */
export async function readDomainState(uri: string, domain: string): Promise<DomainState> {
  const host = openHost(uri);
  const script = `exec timeout 10 virsh -c ${quote(uriOnHost(host.connection))} domstate --reason -- ${quote(domain)}`;
  try {
    return parseDomainState(
      await host.tryRun(script, { purpose: `ask for the state of ${domain}`, timeoutSeconds: 20 }),
    );
  } catch {
    return { kind: "unknown" };
  }
}

/** The end of a machine's serial log, or why it cannot be read. */
export async function readSerialTail(uri: string, file: string): Promise<string> {
  try {
    const log = await openHost(uri).run(`tail -c 32768 -- ${quote(file)}`, {
      purpose: `read the serial log ${file}`,
      timeoutSeconds: 20,
    });
    return renderSerialTail(log, 20) || "(nothing)";
  } catch (error) {
    return `(${error instanceof Error ? error.message : String(error)})`;
  }
}

import { openHost } from "../../host/effects/host.ts";
import { quote } from "../../host/core/script.ts";
import { uriOnHost } from "../../host/core/uri-on-host.ts";
import {
  type DomainState,
  parseDomainState,
  parsePanic,
  renderSerialTail,
} from "../core/domain-state.ts";

/**
 * Asks libvirt how the domain is, and its serial log whether its kernel panicked; `unknown` when
 * libvirt cannot be asked.
 */
export async function readDomainState(
  uri: string,
  domain: string,
  serialLogPath: string,
): Promise<DomainState> {
  const state = await askLibvirt(uri, domain);
  if (state.kind !== "alive") return state;
  const panic = parsePanic(await readSerialEnd(uri, serialLogPath).catch(() => ""));
  return panic === undefined ? state : { kind: "panicked", text: panic };
}

async function askLibvirt(uri: string, domain: string): Promise<DomainState> {
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
    return renderSerialTail(await readSerialEnd(uri, file), 20) || "(nothing)";
  } catch (error) {
    return `(${error instanceof Error ? error.message : String(error)})`;
  }
}

function readSerialEnd(uri: string, file: string): Promise<string> {
  return openHost(uri).run(`tail -c 32768 -- ${quote(file)}`, {
    purpose: `read the serial log ${file}`,
    timeoutSeconds: 20,
  });
}

import { quote } from "../../host/core/script.ts";
import { openHost } from "../../host/effects/host.ts";
import { SharedLooks } from "../../host/effects/shared-looks.ts";
import { renderDomainScript } from "../../image-volume/core/domains.ts";
import { localUri, observeHost, runScript } from "../../image-volume/effects/hosts.ts";
import {
  type DomainList,
  judgePower,
  parseDomainList,
  type Power,
  renderDomainList,
} from "../core/power.ts";

interface Look {
  list: DomainList;
  /** UUIDs of domains that somebody else has stopped and is to start again. */
  stopped: ReadonlySet<string>;
}

const looks = new SharedLooks<Look | undefined>();

/**
 * All who ask within a few seconds share one look, unless `fresh` asks for one that begins now.
 * @param uuid of the domain, in lower case
 */
export async function readPower(
  uri: string,
  uuid: string,
  options: { fresh?: boolean } = {},
): Promise<Power> {
  // Who needs the host says what ails it.
  const look = await looks.take(uri, () => lookAt(uri).catch(() => undefined), options);
  return look === undefined ? "other" : judgePower(look.list, look.stopped, uuid);
}

async function lookAt(uri: string): Promise<Look> {
  const script = renderDomainList(`virsh -q -c ${quote(localUri(uri))}`);
  const options = { purpose: "see which domains are off", timeoutSeconds: 30 };
  const list = parseDomainList(await openHost(uri).run(script, options));
  if (list.off.size === 0) return { list, stopped: new Set() };
  const { volumes } = await observeHost(uri);
  return {
    list,
    stopped: new Set([...volumes.values()].flatMap(({ marks }) => marks.stopped ?? [])),
  };
}

/**
 * Starts the domain unless it runs.
 * @throws GroundworkError `command-failed` with what libvirt says, `host-unreachable`, …
 */
export async function startDomain(uri: string, domain: string, uuid: string): Promise<void> {
  const script = renderDomainScript(localUri(uri), `gw_start_domain ${quote(uuid)}`);
  const subject = { purpose: `start domain "${domain}"` };
  await runScript(uri, script, { subject, timeoutSeconds: 60 });
}

import { quote } from "../../host/core/script.ts";
import { renderDomainScript } from "../../image-volume/core/domains.ts";

/**
 * Shuts a domain down, if there is one; `@value forced` names one that was switched off in the end.
 *
 * @param uri of libvirt, as its own host reaches it
 */
export function renderShutdown(uri: string, uuid: string, timeoutSeconds: number): string {
  return renderDomainScript(
    uri,
    "all=$(gw_virsh list --all --uuid)",
    `grep -qx ${quote(uuid)} <<<"$all" || exit 0`,
    `gw_stop_domains ${String(timeoutSeconds)} ${quote(uuid)}`,
  );
}

import {
  contains,
  dhcpRangeOf,
  gatewayOf,
  parseAddress,
  renderAddress,
  requireCidr,
} from "../components/planning/addresses.ts";
import type { NetworkConfig } from "./schema.ts";

/**
 * The first address after another one that no machine has and DHCP hands to nobody; from the subnet's
 * start when there is none after it. `undefined` when all are taken.
 */
export function freeAddress(
  network: Pick<NetworkConfig, "cidr" | "gateway">,
  taken: readonly string[],
  after: string,
): string | undefined {
  const subnet = requireCidr(network.cidr);
  const first = subnet.network + 1;
  const end = parseAddress(dhcpRangeOf(subnet).start) ?? first;
  const isFree = (address: number): boolean => {
    const text = renderAddress(address);
    return !taken.includes(text) && text !== (network.gateway ?? gatewayOf(subnet));
  };
  const start = contains(subnet, after) ? (parseAddress(after) ?? first) : first;
  for (let address = start + 1; address < end; address += 1)
    if (isFree(address)) return renderAddress(address);
  for (let address = first; address < Math.min(start, end); address += 1)
    if (isFree(address)) return renderAddress(address);
  return undefined;
}

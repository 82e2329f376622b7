import type { SeedInterface } from "../../cloud-init/render.ts";
import { dhcpRangeOf, gatewayOf, requireCidr } from "./addresses.ts";
import { escapeTemplate, metadataNamespace, renderStylesheet } from "./xslt.ts";

export type NetworkMode = "nat" | "route" | "bridge" | "existing";

export interface NetworkWish {
  mode: NetworkMode;
  /** The subnet, such as `192.168.150.0/24`. */
  cidr: string;
  gateway?: string | undefined;
  nameservers?: readonly string[] | undefined;
  domain?: string | undefined;
  dhcp: boolean;
}

/** What machines must know about a network. */
export interface NetworkPlan {
  /** Bits of the network part. */
  prefix: number;
  gateway?: string;
  nameservers: readonly string[];
  domain?: string;
  /** Whether libvirt's DHCP server can be asked for a reservation. */
  reservations: boolean;
  /** Whether somebody may announce IPv6 routers on it. */
  routerAdvertisements: boolean;
}

/** Fills in what the configuration leaves open: libvirt's host address is gateway and name server. */
export function planNetwork(wish: NetworkWish): NetworkPlan {
  const subnet = requireCidr(wish.cidr);
  const gateway = wish.gateway ?? (wish.mode === "bridge" ? undefined : gatewayOf(subnet));
  // The others are not ours: they get no reservations, and may carry IPv6.
  const ours = wish.mode === "nat" || wish.mode === "route";
  return {
    prefix: subnet.prefix,
    ...(gateway !== undefined && { gateway }),
    nameservers: wish.nameservers ?? (gateway === undefined ? [] : [gateway]),
    ...(wish.domain !== undefined && { domain: wish.domain }),
    reservations: ours && wish.dhcp,
    routerAdvertisements: !ours,
  };
}

/** How the seed describes an interface on the network. */
export function planInterface(
  plan: NetworkPlan,
  attachment: { mac: string; address: string; dhcp: boolean },
): SeedInterface {
  return {
    mac: attachment.mac,
    address: attachment.dhcp
      ? "dhcp"
      : {
          cidr: `${attachment.address}/${String(plan.prefix)}`,
          ...(plan.gateway !== undefined && { gateway: plan.gateway }),
          nameservers: plan.nameservers,
          routerAdvertisements: plan.routerAdvertisements,
        },
    ...(plan.domain !== undefined && { domain: plan.domain }),
  };
}

/** The names that a network's DNS server is to resolve: of all machines attached to it. */
export function planHosts(
  network: string,
  machines: readonly { name: string; networks: readonly { network: string; address: string }[] }[],
): { hostname: string; address: string }[] {
  return machines.flatMap(({ name, networks }) =>
    networks
      .filter((attachment) => attachment.network === network)
      .map(({ address }) => ({ hostname: name, address })),
  );
}

/** The stylesheet for a libvirt network: our mark, and DHCP in the upper half of the subnet only. */
export function renderNetworkXslt(cidr: string, owner: string): string {
  const { start, end } = dhcpRangeOf(requireCidr(cidr));
  return renderStylesheet([
    `<xsl:template match="/network/name">
  <xsl:copy-of select="."/>
  <metadata>
    <groundwork:network xmlns:groundwork="${metadataNamespace}" owner="${escapeTemplate(owner)}"/>
  </metadata>
</xsl:template>`,
    `<xsl:template match="/network/ip/dhcp/range">
  <range start="${start}" end="${end}"/>
</xsl:template>`,
  ]);
}

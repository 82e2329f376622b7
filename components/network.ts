import * as libvirt from "@pulumi/libvirt";
import * as pulumi from "@pulumi/pulumi";
import type { Hypervisor } from "./hypervisor.ts";
import {
  type NetworkMode,
  type NetworkPlan,
  planNetwork,
  renderNetworkXslt,
} from "./planning/network.ts";

export interface NetworkArgs {
  /** The host that carries it. A change replaces the network and the domains on it. */
  hypervisor: Hypervisor;
  /**
   * `nat`: behind the host's address. `route`: routed, without NAT. `bridge`: a bridge that the host
   * has. `existing`: a libvirt network of this name that is not ours. A change replaces.
   */
  mode: NetworkMode;
  /** The IPv4 subnet. A change replaces. */
  cidr: string;
  /** Default: the first address of the subnet, but none for `bridge`. */
  gateway?: string | undefined;
  /** Default: the gateway. */
  nameservers?: readonly string[] | undefined;
  /** DNS domain of the machines. A change replaces. */
  domain?: string | undefined;
  /** Whether libvirt hands out addresses; for `nat` and `route`. A change replaces. */
  dhcp: boolean;
  /** The host's bridge, for `bridge`; default: the name. A change replaces the domains on it. */
  bridge?: string | undefined;
  /** Names that libvirt's DNS server resolves; for `nat` and `route`. Changed in place. */
  hosts: readonly { hostname: string; address: string }[];
}

/** How a domain's interface names the network; exactly one is set. */
export interface NetworkAttachment {
  networkId?: pulumi.Output<string>;
  networkName?: string;
  bridge?: string;
}

/**
 * A network that machines are attached to. Makes a libvirt network for `nat` and `route`, which
 * resolves the machines' names; `bridge` and `existing` use what the host has and change nothing.
 */
export class Network extends pulumi.ComponentResource {
  readonly plan: NetworkPlan;
  readonly attachment: NetworkAttachment;
  /** Changes whenever domains must be attached anew. */
  readonly identity: pulumi.Output<string>;

  constructor(name: string, args: NetworkArgs, opts?: pulumi.ComponentResourceOptions) {
    super("groundwork:index:Network", name, {}, opts);
    this.plan = planNetwork(args);
    this.attachment = this.attach(name, args);
    const { networkId, networkName, bridge } = this.attachment;
    this.identity = pulumi.output(networkId ?? networkName ?? bridge ?? name);
    this.registerOutputs({ identity: this.identity });
  }

  private attach(name: string, args: NetworkArgs): NetworkAttachment {
    if (args.mode === "bridge") return { bridge: args.bridge ?? name };
    if (args.mode === "existing") return { networkName: name };
    const network = new libvirt.Network(
      name,
      {
        name,
        mode: args.mode,
        addresses: [args.cidr],
        autostart: true,
        ...(args.domain !== undefined && { domain: args.domain }),
        dhcp: { enabled: args.dhcp },
        dns: {
          enabled: true,
          // Names below the domain are not asked of the world.
          localOnly: args.domain !== undefined,
          hosts: args.hosts.map(({ hostname, address }) => ({ hostname, ip: address })),
        },
        xml: {
          xslt: renderNetworkXslt(args.cidr, `${pulumi.getProject()}/${pulumi.getStack()}`),
        },
      },
      {
        parent: this,
        ...args.hypervisor.onHost,
        // Names of networks and their subnets are unique on a host, so the old one goes first.
        deleteBeforeReplace: true,
      },
    );
    return { networkId: network.id };
  }
}

import {
  contains,
  gatewayOf,
  inDhcpRange,
  renderAddress,
  requireCidr,
} from "../components/planning/addresses.ts";
import { serialLength } from "../components/planning/domain-xslt.ts";
import { duplicates, type Path, problem, unknownName } from "./check-parts.ts";
import type { Problem } from "./problem.ts";
import type { Config, MachineConfig } from "./schema.ts";

function checkAttachments(config: Config, machine: MachineConfig, path: Path): Problem[] {
  return machine.networks.flatMap((attachment, index) => {
    const here = [...path, "networks", index];
    const network = config.networks.find((each) => each.name === attachment.network);
    if (network === undefined)
      return unknownName(
        [...here, "network"],
        attachment.network,
        config.networks,
        "a name from groundwork:networks",
      );
    const problems: Problem[] = [];
    const refuse = (expected: string): void => {
      problems.push(problem([...here, "address"], attachment.address, expected));
    };
    const known = config.hypervisors.some(({ name }) => name === machine.hypervisor);
    if (known && network.hypervisor !== machine.hypervisor)
      problems.push(
        problem(
          [...here, "network"],
          network.name,
          `a network on hypervisor ${machine.hypervisor}, and this one is on ${network.hypervisor}`,
        ),
      );
    const subnet = requireCidr(network.cidr);
    const managed = network.mode === "nat" || network.mode === "route";
    if (!contains(subnet, attachment.address)) refuse(`an address in ${network.cidr}`);
    else if (
      attachment.address ===
      (network.gateway ?? (network.mode === "bridge" ? undefined : gatewayOf(subnet)))
    )
      refuse("another address than the gateway's");
    else if ([subnet.network, subnet.broadcast].map(renderAddress).includes(attachment.address))
      refuse("an address between the network's own and its broadcast address");
    else if (managed && network.dhcp && !attachment.dhcp && inDhcpRange(subnet, attachment.address))
      refuse(
        "an address in the lower half of the subnet, since DHCP hands out the upper half; or dhcp: true",
      );
    if (attachment.dhcp && managed && !network.dhcp)
      problems.push(problem([...here, "dhcp"], true, `dhcp: true on network ${network.name}, too`));
    return problems;
  });
}

/** That what a machine names is there, and that its addresses fit. */
export function checkMachine(config: Config, machine: MachineConfig, path: Path): Problem[] {
  const attachments = machine.networks;
  return [
    ...unknownName(
      [...path, "hypervisor"],
      machine.hypervisor,
      config.hypervisors,
      "a name from groundwork:hypervisors",
    ),
    ...unknownName(
      [...path, "rootVolume", "image"],
      machine.rootVolume.image,
      config.images,
      "a name from groundwork:images",
    ),
    ...machine.volumes.flatMap(({ image }, index) =>
      image === undefined
        ? []
        : unknownName(
            [...path, "volumes", index, "image"],
            image,
            config.images,
            "a name from groundwork:images",
          ),
    ),
    ...duplicates(
      machine.volumes,
      // All that a guest sees of a disk's serial.
      ({ name }) => name.slice(0, serialLength),
      (_, index) => [...path, "volumes", index, "name"],
      `the first ${String(serialLength)} characters of a volume's name`,
    ),
    ...checkAttachments(config, machine, path),
    ...duplicates(
      attachments,
      (each) => each.network,
      (_, index) => [...path, "networks", index, "network"],
      "a network",
    ),
  ];
}

import {
  contains,
  gatewayOf,
  inDhcpRange,
  overlap,
  renderAddress,
  requireCidr,
} from "../components/planning/addresses.ts";
import { show } from "./explain.ts";
import { checkObservability } from "./observability.ts";
import type { Problem } from "./problem.ts";
import type { Config, ImageConfig, MachineConfig, NetworkConfig } from "./schema.ts";

type Path = readonly PropertyKey[];

function problem(path: Path, seen: unknown, expected: string, example?: string): Problem {
  return { path, seen: show(seen), expected, ...(example !== undefined && { example }) };
}

/** Reports every element whose key an earlier one has already. */
function duplicates<T>(
  elements: readonly T[],
  keyOf: (element: T) => string,
  pathOf: (element: T, index: number) => Path,
  what: string,
): Problem[] {
  const seen = new Set<string>();
  return elements.flatMap((element, index) => {
    const key = keyOf(element);
    if (seen.has(key))
      return [problem(pathOf(element, index), key, `${what} that is used only once`)];
    seen.add(key);
    return [];
  });
}

function unknownName(
  path: Path,
  name: string,
  known: readonly { name: string }[],
  what: string,
): Problem[] {
  if (known.some((each) => each.name === name)) return [];
  const names = known.map((each) => each.name).join(", ");
  return [
    problem(path, name, names === "" ? `${what}, of which none is defined` : `${what}: ${names}`),
  ];
}

function checkImage(image: ImageConfig, path: Path): Problem[] {
  const hasDigest = image.sha256 !== undefined || image.sha256SumsUrl !== undefined;
  const problems: Problem[] = [];
  if (image.build !== undefined && (image.url !== undefined || hasDigest))
    problems.push(problem(path, image.name, "either build or url with its checksum, not both"));
  if (image.build !== undefined && image.format !== "qcow2")
    problems.push(problem([...path, "format"], image.format, "qcow2, since the image is built"));
  if (image.url !== undefined && !hasDigest)
    problems.push(
      problem(
        [...path, "url"],
        image.url,
        "a sha256 or sha256SumsUrl beside the url",
        'sha256: "e3b0c442…"',
      ),
    );
  if (image.sha256SumsUrl !== undefined && image.url === undefined)
    problems.push(problem([...path, "sha256SumsUrl"], image.sha256SumsUrl, "a url beside it"));
  return problems;
}

function checkNetwork(network: NetworkConfig, path: Path): Problem[] {
  const subnet = requireCidr(network.cidr);
  const problems: Problem[] = [];
  if (network.mode === "bridge" && network.bridge === undefined)
    problems.push({
      path: [...path, "bridge"],
      expected: "the hypervisor's bridge, since mode is bridge",
      example: "br0",
    });
  if (network.mode !== "bridge" && network.bridge !== undefined)
    problems.push(
      problem([...path, "bridge"], network.bridge, "no bridge, since mode is not bridge"),
    );
  if (network.gateway !== undefined) {
    if (!contains(subnet, network.gateway))
      problems.push(
        problem([...path, "gateway"], network.gateway, `an address in ${network.cidr}`),
      );
    if (
      (network.mode === "nat" || network.mode === "route") &&
      network.gateway !== gatewayOf(subnet)
    )
      problems.push(
        problem(
          [...path, "gateway"],
          network.gateway,
          `the first address, ${gatewayOf(subnet)}, which libvirt gives to the hypervisor`,
        ),
      );
  }
  return problems;
}

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

function checkMachine(config: Config, machine: MachineConfig, path: Path): Problem[] {
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
    ...checkAttachments(config, machine, path),
    ...duplicates(
      attachments,
      (each) => each.network,
      (_, index) => [...path, "networks", index, "network"],
      "a network",
    ),
  ];
}

function checkVolumeNames(config: Config): Problem[] {
  const volumes = config.machines.flatMap((machine, index) => {
    // A machine named like an earlier one is a problem already.
    if (config.machines.findIndex(({ name }) => name === machine.name) < index) return [];
    const group =
      config.hypervisors.find((each) => each.name === machine.hypervisor)?.volumeGroup ?? "";
    const path = ["machines", index];
    return [
      {
        machine,
        path: [...path, "name"],
        name: `${machine.name}-root`,
        group: machine.rootVolume.volumeGroup ?? group,
      },
      ...machine.volumes.map((volume, at) => ({
        machine,
        path: [...path, "volumes", at, "name"],
        name: `${machine.name}-${volume.name}`,
        group: volume.volumeGroup ?? group,
      })),
    ];
  });
  const key = (volume: (typeof volumes)[number]): string =>
    `${volume.name} in ${volume.group === "" ? "" : `${volume.group} of `}${volume.machine.hypervisor}`;
  return duplicates(volumes, key, (volume) => volume.path, "a volume");
}

function checkAddresses(config: Config): Problem[] {
  const all = config.machines.flatMap((machine, index) =>
    machine.networks.map((attachment, at) => ({
      attachment,
      path: ["machines", index, "networks", at],
    })),
  );
  return [
    ...duplicates(
      all,
      ({ attachment }) => `${attachment.address} on ${attachment.network}`,
      ({ path }) => [...path, "address"],
      "an address",
    ),
    ...duplicates(
      all.filter(({ attachment }) => attachment.mac !== undefined),
      ({ attachment }) => String(attachment.mac).toUpperCase(),
      ({ path }) => [...path, "mac"],
      "a MAC address",
    ),
  ];
}

function checkSubnets(config: Config): Problem[] {
  return config.networks.flatMap((network, index) => {
    const other = config.networks
      .slice(0, index)
      .find(
        (each) =>
          each.hypervisor === network.hypervisor &&
          overlap(requireCidr(each.cidr), requireCidr(network.cidr)),
      );
    if (other === undefined) return [];
    return [
      problem(
        ["networks", index, "cidr"],
        network.cidr,
        `a subnet apart from ${other.cidr} of network ${other.name}`,
      ),
    ];
  });
}

/** What a schema cannot say: that names refer to something, addresses fit, nothing is there twice. */
export function checkConfig(config: Config): Problem[] {
  const named = ["images", "hypervisors", "networks", "machines"] as const;
  return [
    ...named.flatMap((section) =>
      duplicates<{ name: string }>(
        config[section],
        (each) => each.name,
        (_, index) => [section, index, "name"],
        "a name",
      ),
    ),
    ...config.images.flatMap((image, index) => checkImage(image, ["images", index])),
    ...config.hypervisors.flatMap(({ cache }, index) =>
      cache.images.flatMap((image, at) =>
        unknownName(
          ["hypervisors", index, "cache", "images", at],
          image,
          config.images,
          "a name from groundwork:images",
        ),
      ),
    ),
    ...config.networks.flatMap((network, index) => [
      ...unknownName(
        ["networks", index, "hypervisor"],
        network.hypervisor,
        config.hypervisors,
        "a name from groundwork:hypervisors",
      ),
      ...checkNetwork(network, ["networks", index]),
    ]),
    ...checkSubnets(config),
    ...config.machines.flatMap((machine, index) =>
      checkMachine(config, machine, ["machines", index]),
    ),
    ...checkVolumeNames(config),
    ...checkAddresses(config),
    ...checkObservability(config.observability, config.machines),
  ];
}

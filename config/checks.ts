import { contains, gatewayOf, overlap, requireCidr } from "../components/planning/addresses.ts";
import { showUrl } from "../images/core/url.ts";
import { checkCluster } from "./cluster-checks.ts";
import { planClusterNodes } from "./cluster-nodes.ts";
import { duplicates, type Path, problem, unknownName } from "./check-parts.ts";
import { checkMachine } from "./machine-checks.ts";
import { checkObservability } from "./observability.ts";
import type { Problem } from "./problem.ts";
import type { Config, ImageConfig, MachineConfig, NetworkConfig } from "./schema.ts";

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
        showUrl(image.url),
        "a sha256 or sha256SumsUrl beside the url",
        'sha256: "e3b0c442…"',
      ),
    );
  if (image.sha256SumsUrl !== undefined && image.url === undefined)
    problems.push(
      problem([...path, "sha256SumsUrl"], showUrl(image.sha256SumsUrl), "a url beside it"),
    );
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

/** A machine of its own or a node, and where the configuration says so. */
interface PlacedMachine {
  machine: MachineConfig;
  path: Path;
}

function placeMachines(config: Config): PlacedMachine[] {
  return [
    ...config.machines.map((machine, index) => ({ machine, path: ["machines", index] })),
    ...config.clusters.flatMap((cluster, index) => planClusterNodes(cluster, ["clusters", index])),
  ];
}

/** In one volume group they would be one volume, and in any they are one resource to Pulumi. */
function checkVolumeNames(machines: readonly PlacedMachine[]): Problem[] {
  const volumes = machines.flatMap(({ machine, path }, index) => {
    // A machine named like an earlier one is a problem already.
    if (machines.findIndex((each) => each.machine.name === machine.name) < index) return [];
    return [
      { path: [...path, "name"], name: `${machine.name}-root` },
      ...machine.volumes.map((volume, at) => ({
        path: [...path, "volumes", at, "name"],
        name: `${machine.name}-${volume.name}`,
      })),
    ];
  });
  return duplicates(
    volumes,
    ({ name }) => name,
    ({ path }) => path,
    "a volume",
  );
}

function checkAddresses(machines: readonly PlacedMachine[]): Problem[] {
  const all = machines.flatMap(({ machine, path }) =>
    machine.networks.map((attachment, at) => ({
      attachment,
      path: path[0] === "clusters" ? path : [...path, "networks", at],
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
  const named = ["images", "hypervisors", "networks", "clusters"] as const;
  const machines = placeMachines(config);
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
    ...duplicates(
      machines,
      ({ machine }) => machine.name,
      ({ path }) => [...path, "name"],
      "a name",
    ),
    ...machines.flatMap(({ machine, path }) => checkMachine(config, machine, path)),
    ...checkVolumeNames(machines),
    ...checkAddresses(machines),
    ...config.clusters.flatMap((cluster, index) =>
      checkCluster(config, cluster, ["clusters", index]),
    ),
    ...checkObservability(config.observability, config.machines),
  ];
}

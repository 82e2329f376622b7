import { contains, overlap, requireCidr } from "../components/planning/addresses.ts";
import { chooseDatastore } from "../components/planning/k3s.ts";
import { duplicates, type Path, problem } from "./check-parts.ts";
import { nodesOf, planClusterNodes } from "./cluster-nodes.ts";
import { machine } from "./machine.ts";
import type { Problem } from "./problem.ts";
import type { ClusterConfig, Config, PoolConfig } from "./schema.ts";

function checkPool(cluster: string, pool: PoolConfig, path: Path): Problem[] {
  const { nodes, count, firstAddress, labels } = pool;
  const problems: Problem[] = [];
  if (nodes.length > 0 && (count !== undefined || firstAddress !== undefined))
    problems.push(
      problem([...path, "nodes"], nodes, "either nodes or count with firstAddress, not both"),
    );
  if (nodes.length === 0 && count === undefined)
    problems.push({
      path: [...path, "count"],
      expected: "a count, or nodes by name",
      example: "2",
    });
  if (count !== undefined && firstAddress === undefined)
    problems.push({
      path: [...path, "firstAddress"],
      expected: "the address of the first node, since they are counted",
      example: "192.168.150.20",
    });
  // The names of counted nodes differ in their number only.
  for (const { name } of nodesOf(cluster, pool).slice(0, 1))
    for (const { message } of machine.shape.name.safeParse(name).error?.issues ?? [])
      problems.push(problem([...path, "name"], name, `${message}, as a node's name`));
  // kubelet does not start with a label that it may not give itself.
  const own = /(^|\.)(kubelet|node)\.kubernetes\.io\//;
  const topology = /^topology\.kubernetes\.io\/(region|zone)$/;
  for (const name of Object.keys(labels))
    if (/(^|\.)(kubernetes|k8s)\.io\//.test(name) && !own.test(name) && !topology.test(name))
      problems.push(
        problem(
          [...path, "labels"],
          name,
          "labels outside kubernetes.io and k8s.io, which a node may not give itself",
        ),
      );
  return problems;
}

function checkArtifact(artifact: ClusterConfig["binary"], path: Path, config: Config): Problem[] {
  const { from, sha256, url, key, path: file } = artifact;
  const problems: Problem[] = [];
  const misplaced = [
    ["url", url, "release"],
    ["key", key, "objectStore"],
    ["path", file, "image"],
  ] as const;
  for (const [name, value, source] of misplaced)
    if (value !== undefined && from !== source)
      problems.push(problem([...path, name], value, `no ${name}, since from is ${from}`));
  if (sha256 === undefined && (from !== "release" || url !== undefined))
    problems.push({
      path: [...path, "sha256"],
      expected: "the digest, since only the vendor's release has a checksum file beside it",
      example: '"e3b0c442…"',
    });
  if (from === "objectStore" && isLoopback(config.objectStore.endpoint))
    problems.push(
      problem(
        [...path, "from"],
        from,
        `an object store that the nodes can reach, and ${config.objectStore.endpoint} is the hypervisor's own loopback`,
      ),
    );
  return problems;
}

const isLoopback = (url: string): boolean =>
  /^(localhost|127\.|\[::1\])/.test(new URL(url).hostname);

function checkSnapshots(config: Config, cluster: ClusterConfig, path: Path): Problem[] {
  const { store, restoreFrom } = cluster.snapshots;
  if (store === undefined)
    return restoreFrom === undefined
      ? []
      : [
          problem(
            [...path, "snapshots", "restoreFrom"],
            restoreFrom,
            "a store beside it, since new servers have no snapshots on their disks",
          ),
        ];
  const at = [...path, "snapshots", "store"];
  const servers = planClusterNodes(cluster).filter(({ role }) => role === "server");
  const endpoint = store.endpoint ?? config.objectStore.endpoint;
  const problems: Problem[] = [];
  if (chooseDatastore(cluster, servers.length) !== "etcd")
    problems.push(
      problem(at, "a store", "none, since k3s saves etcd only; set datastore to etcd to have it"),
    );
  if (isLoopback(endpoint))
    problems.push(
      problem(
        [...at, "endpoint"],
        endpoint,
        "an object store that the servers can reach, and not the hypervisor's own loopback",
      ),
    );
  for (const [key, other] of [
    ["accessKey", "secretKey"],
    ["secretKey", "accessKey"],
  ] as const)
    if (store[key] === undefined && store[other] !== undefined)
      problems.push({
        path: [...at, key],
        expected: `${key}, since ${other} is given`,
        example: key,
      });
  return problems;
}

function checkServers(cluster: ClusterConfig, path: Path): Problem[] {
  const servers = planClusterNodes(cluster).filter(({ role }) => role === "server");
  const problems: Problem[] = [];
  if (servers.length % 2 === 0)
    problems.push(
      problem(
        [...path, "servers"],
        `${String(servers.length)} servers`,
        "1 server, or an odd number: etcd needs more than half of them",
      ),
    );
  if (cluster.datastore === "sqlite" && servers.length > 1)
    problems.push(
      problem([...path, "datastore"], "sqlite", "etcd, since there is more than one server"),
    );
  return problems;
}

function checkCidrs(config: Config, cluster: ClusterConfig, path: Path): Problem[] {
  const pods = requireCidr(cluster.clusterCidr);
  const services = requireCidr(cluster.serviceCidr);
  const problems: Problem[] = [];
  if (overlap(pods, services))
    problems.push(
      problem(
        [...path, "serviceCidr"],
        cluster.serviceCidr,
        `a subnet apart from ${cluster.clusterCidr} of the pods`,
      ),
    );
  const nodes = planClusterNodes(cluster);
  // Kubernetes gives each node a /24 of the pods' addresses.
  if (nodes.length * 256 > pods.broadcast + 1 - pods.network)
    problems.push(
      problem(
        [...path, "clusterCidr"],
        cluster.clusterCidr,
        `a subnet that has a /24 for each node, ${String(nodes.length)} in all`,
        `10.42.0.0/${String(24 - Math.ceil(Math.log2(nodes.length)))}`,
      ),
    );
  if (services.prefix > 28)
    problems.push(
      problem(
        [...path, "serviceCidr"],
        cluster.serviceCidr,
        "a prefix of at most 28, since k3s gives the tenth address to DNS",
      ),
    );
  const used = new Set(
    nodes.flatMap(({ machine }) => machine.networks.map(({ network }) => network)),
  );
  for (const { name, cidr } of config.networks.filter((each) => used.has(each.name)))
    for (const [key, range] of [
      ["clusterCidr", pods],
      ["serviceCidr", services],
    ] as const)
      if (overlap(requireCidr(cidr), range))
        problems.push(
          problem([...path, key], cluster[key], `a subnet apart from ${cidr} of network ${name}`),
        );
  for (const key of ["clusterCidr", "serviceCidr"] as const) {
    const { apiAddress } = cluster;
    if (apiAddress !== undefined && contains(requireCidr(cluster[key]), apiAddress))
      problems.push(
        problem([...path, "apiAddress"], apiAddress, `an address outside ${cluster[key]}`),
      );
  }
  return problems;
}

/** By its address a node is known to the others, so it is no other node's in another network either. */
function checkNodeAddresses(cluster: ClusterConfig, path: Path): Problem[] {
  const nodes = planClusterNodes(cluster, path).flatMap(({ machine, path: at }) =>
    machine.networks.map(({ network, address }) => ({ network, address, path: at })),
  );
  return nodes.flatMap((node, index) => {
    const alike = nodes.slice(0, index).filter(({ address }) => address === node.address);
    // Those of one network are a problem of all machines.
    if (alike.length === 0 || alike.some(({ network }) => network === node.network)) return [];
    const expected = "an address that no other node of the cluster has, in whatever network";
    return [problem([...node.path, "address"], node.address, expected)];
  });
}

/** What the schema cannot say of a cluster; its machines are checked as all others are. */
export function checkCluster(config: Config, cluster: ClusterConfig, path: Path): Problem[] {
  const pools = [
    ...cluster.servers.map((pool, index) => ({ pool, path: [...path, "servers", index] })),
    ...cluster.agents.map((pool, index) => ({ pool, path: [...path, "agents", index] })),
  ];
  return [
    ...duplicates(
      pools,
      ({ pool }) => pool.name,
      (each) => [...each.path, "name"],
      "a pool",
    ),
    ...pools.flatMap((each) => checkPool(cluster.name, each.pool, each.path)),
    ...checkServers(cluster, path),
    ...checkNodeAddresses(cluster, path),
    ...checkSnapshots(config, cluster, path),
    ...checkArtifact(cluster.binary, [...path, "binary"], config),
    ...(cluster.airgapImages === undefined
      ? []
      : checkArtifact(cluster.airgapImages, [...path, "airgapImages"], config)),
    ...checkCidrs(config, cluster, path),
  ];
}

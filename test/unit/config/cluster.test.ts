import assert from "node:assert/strict";
import * as fs from "node:fs";
import { parse } from "yaml";
import { ConfigError, machinesOf, parseConfig, planClusterNodes } from "../../../config.ts";
import { renderPath } from "../../../config/problem.ts";
import { clusterSections, labCluster, serverPool } from "../../support/cluster.ts";
import { labSections } from "../../support/lab.ts";

function problemsOf(raw: Record<string, unknown>): string[] {
  try {
    parseConfig(raw);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems.map(({ path, expected }) => `${renderPath(path)}: ${expected}`);
  }
}

describe("groundwork:clusters", () => {
  it("counts names and addresses of a pool up, and keeps those that are given", () => {
    const { clusters } = parseConfig(clusterSections());
    const nodes = clusters.flatMap((cluster) => planClusterNodes(cluster));
    assert.deepEqual(
      nodes.map(({ role, machine }) => [role, machine.name, machine.networks[0]?.address]),
      [
        ["server", "cp1", "192.168.150.20"],
        ["agent", "kube-worker-01", "192.168.150.30"],
        ["agent", "kube-worker-02", "192.168.150.31"],
      ],
    );
  });

  it("gives each node the generation of its disk, its own or the pool's", () => {
    const rootVolume = { image: "debian", sizeGiB: 10, generation: 2 };
    const nodes = [
      { name: "cp1", address: "192.168.150.20" },
      { name: "cp2", address: "192.168.150.21", generation: 3 },
      { name: "cp3", address: "192.168.150.22", generation: 0 },
    ];
    const named = { count: undefined, firstAddress: undefined, rootVolume, nodes };
    const { clusters } = parseConfig(
      clusterSections({ servers: [serverPool(3, named)], agents: [] }),
    );
    assert.deepEqual(
      clusters
        .flatMap((cluster) => planClusterNodes(cluster))
        .map(({ machine }) => machine.rootVolume.generation),
      [2, 3, 0],
    );
  });

  it("counts its nodes among the machines of the stack", () => {
    const config = parseConfig({
      ...clusterSections(),
      "groundwork:machines": labSections()["groundwork:machines"],
    });
    assert.deepEqual(
      machinesOf(config).map(({ name }) => name),
      ["vm1", "cp1", "kube-worker-01", "kube-worker-02"],
    );
  });

  it("takes the vendor's release, vxlan and k3s's own subnets unless told otherwise", () => {
    const [cluster] = parseConfig(clusterSections()).clusters;
    assert.deepEqual(cluster?.binary, { from: "release" });
    assert.deepEqual(
      [cluster.cni, cluster.clusterCidr, cluster.serviceCidr],
      ["vxlan", "10.42.0.0/16", "10.43.0.0/16"],
    );
    assert.deepEqual(cluster.upgrade, {
      ...{ maxUnavailable: 1, drainTimeoutSeconds: 300, nodeByNode: true },
    });
  });

  const sha256 = "a".repeat(64);
  const refused: [string, object, RegExp][] = [
    ["two servers", { servers: [serverPool(2)] }, /servers: 1 server, or an odd number/],
    ["no server", { servers: [serverPool(0)] }, /servers: 1 server/],
    [
      "sqlite with three servers",
      { servers: [serverPool(3)], datastore: "sqlite" },
      /datastore: etcd/,
    ],
    ["a version that is no release", { version: "stable" }, /version: a version of k3s/],
    [
      "a binary in the image without digest",
      { binary: { from: "image" } },
      /binary\.sha256: the digest/,
    ],
    ["a mirror without digest", { binary: { url: "https://m.example.org/k3s" } }, /binary\.sha256/],
    ["a path for a release", { binary: { path: "/opt/k3s" } }, /binary\.path: no path/],
    [
      "an object store on the hypervisor's loopback",
      { binary: { from: "objectStore", sha256 } },
      /the hypervisor's own loopback/,
    ],
    ...[
      {
        problem: /snapshots\.store: none, since k3s saves etcd only/,
        datastore: "sqlite",
        store: {},
      },
      { problem: /store\.endpoint: an object store that the servers can reach/, store: {} },
      {
        problem: /store\.secretKey: secretKey, since accessKey is given/,
        store: { accessKey: "me!" },
      },
      { problem: /snapshots\.restoreFrom: a store beside it/, restoreFrom: "daily-1" },
    ].map(({ problem, datastore = "etcd", ...snapshots }): [string, object, RegExp] => [
      `copies of snapshots that cannot be: ${problem.source}`,
      { datastore, snapshots },
      problem,
    ]),
    [
      "pods in the nodes' subnet",
      { clusterCidr: "192.168.0.0/16" },
      /clusterCidr: a subnet apart from 192\.168\.150\.0\/24/,
    ],
    [
      "fewer subnets for pods than nodes",
      { clusterCidr: "10.42.0.0/23" },
      /clusterCidr: a subnet that has a \/24 for each node, 3 in all/,
    ],
    [
      "pods in less than a /24",
      { clusterCidr: "10.42.0.0/25", agents: [] },
      /clusterCidr: .*, 1 in all/,
    ],
    ["services without a tenth address", { serviceCidr: "10.43.0.0/29" }, /at most 28.*DNS/],
    ["services among the pods", { serviceCidr: "10.42.0.0/16" }, /serviceCidr: a subnet apart/],
    [
      "neither nodes nor a count",
      { servers: [serverPool(1, { count: undefined, firstAddress: undefined })] },
      /servers\[0\]\.count: a count/,
    ],
    [
      "a count without address",
      { servers: [serverPool(1, { firstAddress: undefined })] },
      /firstAddress: the address of the first/,
    ],
    [
      "both nodes and a count",
      { servers: [serverPool(1, { nodes: [{ name: "a", address: "192.168.150.20" }] })] },
      /either nodes or count/,
    ],
    [
      "nodes whose names are too long with the cluster's",
      { servers: [serverPool(1, { name: "s".repeat(60) })] },
      /servers\[0\]\.name: .*at most 63 characters, as a node's name/,
    ],
    [
      "nodes named as what LVM keeps for itself",
      { name: "snapshots" },
      /agents\[0\]\.name: a name that does not begin with snapshot/,
    ],
    [
      "a role label",
      { servers: [serverPool(1, { labels: { "node-role.kubernetes.io/x": "" } })] },
      /labels outside kubernetes\.io/,
    ],
    [
      "a taint without effect",
      { servers: [serverPool(1, { taints: ["a=b"] })] },
      /taints\[0\]: key=value:effect/,
    ],
    [
      "an unknown image",
      { servers: [serverPool(1, { rootVolume: { image: "none", sizeGiB: 4 } })] },
      /rootVolume\.image: a name from groundwork:images/,
    ],
    [
      "addresses that two pools share",
      { agents: [serverPool(1, { name: "w" })] },
      /agents\[0\].*: an address that is used only once/,
    ],
    [
      "two pools of one name",
      { agents: [serverPool(1, { firstAddress: "192.168.150.40" })] },
      /agents\[0\]\.name: a pool that is used only once/,
    ],
  ];
  for (const [what, changes, expected] of refused)
    it(`refuses ${what}`, () => {
      const problems = problemsOf(clusterSections(changes));
      assert.ok(
        problems.some((each) => expected.test(each)),
        problems.join("\n"),
      );
    });

  it("refuses a node named like a machine, at the node's own place", () => {
    const sections = {
      ...labSections(),
      "groundwork:clusters": [
        labCluster({
          servers: [
            serverPool(1, {
              count: undefined,
              firstAddress: undefined,
              nodes: [{ name: "vm1", address: "192.168.150.21" }],
            }),
          ],
        }),
      ],
    };
    assert.deepEqual(problemsOf(sections), [
      "groundwork:clusters[0].servers[0].nodes[0].name: a name that is used only once",
    ]);
  });

  it("refuses an address that two nodes have in different networks, and says so once", () => {
    const sections = {
      ...clusterSections({
        agents: [serverPool(1, { name: "worker", network: "lan", hypervisor: "hv2" })],
      }),
      "groundwork:networks": [
        { name: "lab", hypervisor: "hv", mode: "existing", cidr: "192.168.150.0/24" },
        { name: "lan", hypervisor: "hv2", mode: "existing", cidr: "192.168.150.0/24" },
      ],
      "groundwork:hypervisors": [
        { name: "hv", volumeGroup: "vg" },
        { name: "hv2", volumeGroup: "vg" },
      ],
    };
    assert.deepEqual(problemsOf(sections), [
      "groundwork:clusters[0].agents[0].address: an address that no other node of the cluster has, in whatever network",
    ]);
  });

  it("accepts the smallest subnets of pods and services that k3s starts with", () => {
    const cidrs = { clusterCidr: "10.42.0.0/22", serviceCidr: "10.43.0.0/28" };
    assert.deepEqual(problemsOf(clusterSections(cidrs)), []);
  });

  it("accepts labels that a node may give itself", () => {
    const labels = { "node.kubernetes.io/x": "1", "topology.kubernetes.io/zone": "a", tier: "web" };
    assert.deepEqual(problemsOf(clusterSections({ servers: [serverPool(1, { labels })] })), []);
  });
});

describe("Pulumi.sandbox.yaml", () => {
  const text = fs.readFileSync("Pulumi.sandbox.yaml", "utf8");
  const config = parseConfig((parse(text) as { config: Record<string, unknown> }).config);

  it("is the three-node cluster of the architecture it was written from", () => {
    const [cluster] = config.clusters;
    assert.equal(cluster?.version, "v1.34.3+k3s1");
    assert.equal(cluster.cni, "vxlan");
    assert.deepEqual(
      planClusterNodes(cluster).map(({ role, machine }) => [
        role,
        machine.name,
        machine.networks.map(({ address, dhcp }) => [address, dhcp]),
        [machine.vcpus, machine.memoryMiB, machine.rootVolume.sizeGiB, machine.rootVolume.image],
      ]),
      [
        ["server", "k3s-cp-01", [["192.168.122.10", false]], [6, 10240, 80, "ubuntu-24.04"]],
        ["agent", "k3s-worker-01", [["192.168.122.11", false]], [6, 10240, 80, "ubuntu-24.04"]],
        ["agent", "k3s-worker-02", [["192.168.122.12", false]], [6, 10240, 80, "ubuntu-24.04"]],
      ],
    );
  });

  it("enters its hypervisor as root, and pins its image, since its only server must keep its disk", () => {
    assert.match(config.hypervisors[0]?.uri ?? "", /^qemu\+ssh:\/\/root@/);
    const [image] = config.images;
    for (const url of [image?.url, image?.sha256SumsUrl])
      assert.match(url ?? "", /\/release-\d{8}\//);
  });
});

import assert from "node:assert/strict";
import { stringify } from "yaml";
import {
  chooseDatastore,
  type K3sNode,
  type K3sWish,
  planArtifact,
  planK3sConfig,
  planSnapshotStore,
  renderAuditPolicy,
} from "../../../../components/planning/k3s.ts";
import { renderConfig } from "../../../../providers/k3s-cluster/core/node-files.ts";
import { assertGolden } from "../../../support/golden.ts";

const wish: K3sWish = {
  ...{
    name: "kube",
    version: "v1.34.3+k3s1",
    tlsSans: ["k8s.example.org"],
    cni: "wireguard-native",
  },
  ...{ clusterCidr: "10.42.0.0/16", serviceCidr: "10.43.0.0/16", disable: ["traefik"] },
  ...{ kubeletArgs: ["max-pods=200"], secretsEncryption: true, apiAddress: "192.168.150.5" },
  auditPolicy: { rules: [{ level: "Metadata" }] },
  snapshots: { schedule: "0 */6 * * *", retention: 7 },
};
const server: K3sNode = {
  ...{ role: "server", name: "cp1", address: "192.168.150.20" },
  ...{ labels: { tier: "control" }, taints: ["CriticalAddonsOnly=true:NoExecute"] },
};
const agent: K3sNode = {
  ...server,
  role: "agent",
  name: "w1",
  address: "192.168.150.30",
  taints: [],
};
const plain: K3sWish = {
  ...wish,
  tlsSans: [],
  apiAddress: undefined,
  disable: [],
  kubeletArgs: [],
  secretsEncryption: false,
  auditPolicy: undefined,
  cni: "vxlan",
};

describe("planK3sConfig", () => {
  const joins = { kind: "joins", server: "https://192.168.150.20:6443" } as const;

  it("is, for a server with every option, what it was", () => {
    const config = planK3sConfig(wish, server, "etcd");
    assertGolden(
      "k3s-server.yaml",
      renderConfig({ role: "server", config }, { kind: "founds" }, "etcd"),
    );
  });

  it("is, for an agent, what it was", () => {
    const config = planK3sConfig(wish, agent, "etcd");
    assertGolden("k3s-agent.yaml", renderConfig({ role: "agent", config }, joins, "etcd"));
  });

  it("is, for a server with none, what it was", () => {
    const config = planK3sConfig(plain, { ...server, labels: {}, taints: [] }, "sqlite");
    assertGolden(
      "k3s-server-plain.yaml",
      renderConfig({ role: "server", config }, { kind: "founds" }, "sqlite"),
    );
  });

  it("tells agents nothing that only servers know", () => {
    const config = planK3sConfig(wish, agent, "etcd");
    for (const key of [
      "tls-san",
      "disable",
      "agent-token-file",
      "flannel-backend",
      "secrets-encryption",
    ])
      assert.equal(config[key], undefined, key);
  });

  it("switches k3s's network policies off where another plug-in is brought", () => {
    const config = planK3sConfig({ ...plain, cni: "none" }, server, "sqlite");
    assert.deepEqual([config["flannel-backend"], config["disable-network-policy"]], ["none", true]);
  });
});

describe("chooseDatastore", () => {
  it("is SQLite for one server, etcd for more and where it is asked for", () => {
    assert.deepEqual(
      [chooseDatastore({}, 1), chooseDatastore({}, 3), chooseDatastore({ datastore: "etcd" }, 1)],
      ["sqlite", "etcd", "etcd"],
    );
  });
});

describe("planArtifact", () => {
  const store = { endpoint: "http://store:9000", region: "us-east-1", bucket: "images" };
  const file = { version: "v1.34.3+k3s1", name: "k3s", path: "/usr/local/bin/k3s" };
  const sha256 = "a".repeat(64);

  it("finds an object by version and name, unless its key is given", () => {
    const of = (key?: string) => planArtifact({ from: "objectStore", sha256, key }, store, file);
    assert.deepEqual(of(), { from: "objectStore", ...store, key: "k3s/v1.34.3+k3s1/k3s", sha256 });
    assert.deepEqual(of("x"), { from: "objectStore", ...store, key: "x", sha256 });
  });

  it("finds a file of the image at k3s's own place", () => {
    assert.deepEqual(planArtifact({ from: "image", sha256 }, store, file), {
      ...{ from: "image", path: "/usr/local/bin/k3s", sha256 },
    });
  });
});

describe("planSnapshotStore", () => {
  const own = { endpoint: "http://store:9000", region: "us-east-1", bucket: "images" };
  const place = { stack: "lab", cluster: "kube" };

  it("is the stack's own store, with a folder for this cluster of this stack", () => {
    assert.deepEqual(planSnapshotStore({}, own, place), { ...own, folder: "etcd/lab/kube" });
  });

  it("is another one, with its own credentials, where that is wished", () => {
    const wish = {
      ...{ endpoint: "https://s3.example.org", region: "eu-1", bucket: "b", folder: "f" },
      ...{ accessKey: "who", secretKey: "key" },
    };
    assert.deepEqual(planSnapshotStore(wish, own, place), wish);
  });
});

describe("renderAuditPolicy", () => {
  it("makes a whole policy of its rules", () => {
    assert.equal(
      renderAuditPolicy({ rules: [{ level: "None" }] }),
      stringify({ apiVersion: "audit.k8s.io/v1", kind: "Policy", rules: [{ level: "None" }] }),
    );
  });
});

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { parse } from "yaml";
import type {
  ClusterArguments,
  NodeArguments,
} from "../../../../providers/k3s-cluster/core/arguments.ts";
import { listArtifacts } from "../../../../providers/k3s-cluster/core/artifacts.ts";
import { renderKubeconfig } from "../../../../providers/k3s-cluster/core/kubeconfig.ts";
import {
  listNodeFiles,
  renderConfig,
  renderUnit,
} from "../../../../providers/k3s-cluster/core/node-files.ts";
import { renderSnapshotStore } from "../../../../providers/k3s-cluster/core/snapshots.ts";
import {
  parseProbe,
  renderApply,
  renderProbe,
} from "../../../../providers/k3s-cluster/core/node-script.ts";
import { renderNetworkWait } from "../../../../providers/k3s-cluster/core/network-wait.ts";
import {
  renderRotateToken,
  renderTokenFiles,
} from "../../../../providers/k3s-cluster/core/tokens.ts";
import { assertGolden } from "../../../support/golden.ts";

const sha256 = "a".repeat(64);
const server: NodeArguments = {
  ...{ name: "cp1", role: "server", address: "192.168.150.20", user: "deploy", hasRoute: true },
  ...{ hostPublicKey: "ssh-ed25519 AAAA", hypervisorUri: "qemu:///system", machine: "m" },
  config: { "node-name": "cp1", "token-file": "/etc/rancher/k3s/token" },
  ...{ labels: {}, taints: [] },
};
const agent: NodeArguments = { ...server, name: "w1", role: "agent" };
const args: ClusterArguments = {
  ...{ stack: "lab", cluster: "kube", version: "v1.34.3+k3s1", datastore: "etcd" },
  ...{
    waitForReady: true,
    coreDns: true,
    binary: { from: "image", path: "/usr/local/bin/k3s", sha256 },
  },
  ...{ nodes: [server, agent], apiAddress: "192.168.150.20", privateKey: "key" },
  ...{ token: "server-secret", agentToken: "agent-secret" },
  ...{ maxUnavailable: 1, drainTimeoutSeconds: 10, timeoutSeconds: 60 },
};

describe("listNodeFiles", () => {
  it("gives servers both tokens and agents theirs alone, readable by root only", () => {
    const of = (node: NodeArguments) => listNodeFiles(args, node, { kind: "founds" });
    for (const node of [server, agent])
      for (const { mode, content, path } of of(node))
        if (content?.includes("-secret") === true) assert.equal(mode, "0600", path);
    assert.match(JSON.stringify(of(server)), /server-secret.*agent-secret/);
    assert.doesNotMatch(JSON.stringify(of(agent)), /server-secret/);
  });

  it("tells servers alone where snapshots go, and takes the file away where they go nowhere", () => {
    const of = (node: NodeArguments, store?: string): unknown[] =>
      listNodeFiles(args, node, { kind: "founds" }, store)
        .filter(({ path }) => path.includes("config.yaml.d"))
        .map(({ mode, content }) => [mode, content]);
    assert.deepEqual(of(server, "etcd-s3: true"), [["0600", "etcd-s3: true"]]);
    assert.deepEqual(of(server), [["0600", undefined]]);
    assert.deepEqual(of(agent, "etcd-s3: true"), []);
  });

  it("take away registries and the audit policy where they are asked for no more", () => {
    const of = (node: NodeArguments, changes: Partial<ClusterArguments> = {}): unknown[] =>
      listNodeFiles({ ...args, ...changes }, node, { kind: "founds" })
        .filter(({ path }) => /registries|audit/.test(path))
        .map(({ path, content }) => [path.split("/").at(-1), content]);
    assert.deepEqual(of(server), [
      ["audit.yaml", undefined],
      ["registries.yaml", undefined],
    ]);
    assert.deepEqual(of(agent, { registries: "mirrors: {}", auditPolicy: "rules: []" }), [
      ["registries.yaml", "mirrors: {}"],
    ]);
  });

  it("restart agents for another backend of flannel, which they take from the servers", () => {
    const of = (node: NodeArguments, backend: string): string | undefined => {
      const config = { ...server.config, "flannel-backend": backend };
      const nodes = [{ ...server, config }, agent];
      const files = listNodeFiles({ ...args, nodes }, node, { kind: "founds" });
      return files.find(({ path }) => path.endsWith("config.yaml"))?.content;
    };
    assert.notEqual(of(agent, "vxlan"), of(agent, "host-gw"));
    assert.equal(of(server, "vxlan"), of(server, "host-gw"), "it is in a server's own options");
  });

  it("keeps tokens out of config.yaml", () => {
    const config = listNodeFiles(args, server, { kind: "founds" }).find(({ path }) =>
      path.endsWith("config.yaml"),
    );
    assert.doesNotMatch(config?.content ?? "", /-secret/);
  });
});

describe("renderConfig", () => {
  const read = (...parameters: Parameters<typeof renderConfig>): Record<string, unknown> =>
    parse(renderConfig(...parameters)) as Record<string, unknown>;

  it("tells who founds and who joins", () => {
    assert.equal(read(server, { kind: "founds" }, "etcd")["cluster-init"], true);
    assert.equal(read(server, { kind: "founds" }, "sqlite")["cluster-init"], undefined);
    const joins = { kind: "joins", server: "https://192.168.150.21:6443" } as const;
    const joining = read(server, joins, "etcd");
    assert.equal(joining["server"], joins.server);
    assert.equal(joining["cluster-init"], undefined);
  });
});

describe("renderSnapshotStore", () => {
  const store = { region: "eu-1", bucket: "backups", folder: "etcd/lab/kube" };
  const read = (endpoint: string): Record<string, unknown> =>
    parse(
      renderSnapshotStore({ ...store, endpoint }, { accessKey: "who", secretKey: 'a"b' }),
    ) as Record<string, unknown>;

  it("gives k3s host and port, and says that there is no TLS where there is none", () => {
    assert.deepEqual(read("http://[fd00::1]:9000"), {
      ...{ "etcd-s3": true, "etcd-s3-endpoint": "[fd00::1]:9000", "etcd-s3-insecure": true },
      ...{ "etcd-s3-region": "eu-1", "etcd-s3-bucket": "backups" },
      ...{ "etcd-s3-folder": "etcd/lab/kube", "etcd-s3-access-key": "who" },
      "etcd-s3-secret-key": 'a"b',
    });
    const secure = read("https://s3.example.org");
    assert.equal(secure["etcd-s3-endpoint"], "s3.example.org");
    assert.equal(secure["etcd-s3-insecure"], undefined);
  });
});

describe("renderUnit", () => {
  it("is what it was", () => assertGolden("k3s.service", renderUnit(server)));
});

describe("scripts for nodes", () => {
  const syntax = (script: string): void => {
    execFileSync("bash", ["-n"], { input: script });
  };

  it("are valid bash, for every source of the binary", () => {
    for (const binary of [
      args.binary,
      { from: "release" as const },
      { from: "release" as const, url: "https://m.example.org/k3s?a='b'", sha256 },
    ]) {
      const artifacts = listArtifacts({ ...args, binary, airgapImages: binary });
      const files = listNodeFiles(args, server, { kind: "founds" });
      syntax(renderApply({ node: server, files, artifacts }));
    }
    syntax(renderProbe("agent"));
    syntax(renderRotateToken("new"));
    syntax(renderTokenFiles(args, "server"));
    execFileSync("sh", ["-n"], { input: renderNetworkWait() });
  });

  it("take the vendor's release by version, machine and checksum file", () => {
    const [binary] = listArtifacts({ ...args, binary: { from: "release" } });
    assert.ok(binary);
    assert.deepEqual(binary.source, {
      kind: "url",
      url: "https://github.com/k3s-io/k3s/releases/download/v1.34.3%2Bk3s1/k3s$suffix",
      host: "github.com",
    });
    const script = renderApply({ node: server, files: [], artifacts: [binary] });
    assert.match(script, /k3s'"\$suffix"''/);
    assert.match(script, /sha256sum-'"\$arch"'\.txt/);
  });

  it("read back what the probe prints", () => {
    assert.deepEqual(parseProbe("motd\ngroundwork-probe etcd no yes - 2 https://a:6443\n"), {
      ...{
        data: "etcd",
        joined: false,
        active: true,
        token: "-",
        certificates: 2,
        server: "https://a:6443",
      },
    });
    assert.equal(parseProbe("sudo: unknown user"), undefined);
  });
});

describe("renderKubeconfig", () => {
  const written = [
    ...["apiVersion: v1", "kind: Config", "current-context: default", "contexts: []"],
    ...["clusters:", "- name: default", "  cluster:", "    certificate-authority-data: Q0E="],
    ...["    server: https://127.0.0.1:6443", "users:", "- name: default", "  user:"],
    "    client-certificate-data: Q1JU",
  ].join("\n");

  it("calls cluster, user and context after the cluster, and knows the API's address", () => {
    assert.deepEqual(parse(renderKubeconfig(written, "kube", "192.168.150.20")), {
      ...{ apiVersion: "v1", kind: "Config", "current-context": "kube" },
      clusters: [
        {
          name: "kube",
          cluster: { "certificate-authority-data": "Q0E=", server: "https://192.168.150.20:6443" },
        },
      ],
      users: [{ name: "kube", user: { "client-certificate-data": "Q1JU" } }],
      contexts: [{ name: "kube", context: { cluster: "kube", user: "kube" } }],
    });
  });

  it("refuses what is no kubeconfig", () => {
    assert.throws(() => renderKubeconfig("{}", "kube", "a"), { code: "bad-kubeconfig" });
  });
});

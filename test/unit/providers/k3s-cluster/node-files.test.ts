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
        if (content.includes("-secret")) assert.equal(mode, "0600", path);
    assert.match(JSON.stringify(of(server)), /server-secret.*agent-secret/);
    assert.doesNotMatch(JSON.stringify(of(agent)), /server-secret/);
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
    assert.deepEqual(parseProbe("motd\ngroundwork-probe yes no yes - https://a:6443\n"), {
      ...{ hasData: true, joined: false, active: true, token: "-", server: "https://a:6443" },
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

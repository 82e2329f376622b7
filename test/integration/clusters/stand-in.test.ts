import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "yaml";
import { goEnvironment } from "../../../scripts/lib/tools-make.ts";
import { pins } from "../../../scripts/lib/tools-pins.ts";
import { toolSources } from "../../../scripts/lib/tools-state.ts";
import { K3sServer, runK3s, serverAddress } from "../../support/k3s-server.ts";
import { requireNeeds } from "../../support/needs.ts";
import { until } from "../../support/until.ts";

describe("the stand-in for k3s", function () {
  this.timeout(240_000);
  const config = {
    ...{ "disable-agent": true, "node-name": "cp-1", "node-ip": serverAddress },
    ...{ "cluster-init": true, "secrets-encryption": true, "tls-san": ["lab.example"] },
    ...{ token: "servers-secret", "agent-token": "agents-secret", "write-kubeconfig-mode": "0640" },
  };
  const url = `https://${serverAddress}:6443`;
  let server: K3sServer;
  let cleanUp = (): Promise<void> => Promise.resolve();

  before(async function () {
    requireNeeds(this, ["root", "netns", "curl", "k3s"]);
    server = new K3sServer();
    cleanUp = () => server.remove();
    server.configure(config);
    server.start();
    process.stderr.write(`    k3s ready after ${(await server.ready()).toFixed(1)} s\n`);
  });

  after(async () => {
    await cleanUp();
  });

  const tokenOf = (name: string): string => server.read("data", "server", name).trim();

  it("says its version as k3s does", async () => {
    const { code, output } = await runK3s("--version");
    assert.equal(code, 0);
    assert.match(output.split("\n")[0] ?? "", /^k3s version v\d+\.\d+\.\d+\+k3s\d+ \(/);
    const { serverVersion } = parse(server.k3s("kubectl", "version", "-o", "yaml").stdout) as {
      serverVersion: { gitVersion: string };
    };
    assert.equal(serverVersion.gitVersion, pins.k3s);
  });

  it("answers /ping and /cacerts to anyone, and nothing else", () => {
    assert.deepEqual(server.curl(`${url}/ping`), { status: 200, body: "pong" });
    const { status, body } = server.curl(`${url}/cacerts`);
    assert.equal(status, 200);
    assert.equal(body, server.read("data", "server", "tls", "server-ca.crt"));
    for (const refused of [
      "/readyz",
      "/api/v1/nodes",
      "/v1-k3s/config",
      "/v1-k3s/server-bootstrap",
    ])
      assert.equal(server.curl(`${url}${refused}`).status, 401, refused);
  });

  it("writes tokens that name its authority", () => {
    const authority = server.read("data", "server", "tls", "server-ca.crt");
    const hash = createHash("sha256").update(authority).digest("hex");
    assert.equal(tokenOf("token"), `K10${hash}::server:servers-secret`);
    assert.equal(tokenOf("node-token"), tokenOf("token"));
    assert.equal(tokenOf("agent-token"), `K10${hash}::node:agents-secret`);
    const { mode } = fs.statSync(server.file("data", "server", "token"));
    assert.equal(mode & 0o777, 0o600);
  });

  it("lets in by the servers' token what it refuses by the agents'", () => {
    const status = (at: string, credentials: string): number =>
      server.curl(`${url}/v1-k3s/${at}`, "-u", credentials).status;
    assert.equal(status("config", "node:agents-secret"), 200);
    assert.equal(status("config", "node:wrong"), 401);
    assert.equal(status("server-bootstrap", "node:agents-secret"), 401);
    assert.equal(status("server-bootstrap", "server:agents-secret"), 401);
    assert.equal(status("server-bootstrap", "server:servers-secret"), 200);
  });

  it("makes join tokens that let agents in and no servers", () => {
    const made = server.k3s("token", "create", "--description", "one").stdout;
    const secret = made.split("::")[1] ?? "";
    const status = (at: string): number =>
      server.curl(`${url}/v1-k3s/${at}`, "-H", `Authorization: Bearer ${secret}`).status;
    assert.match(secret, /^[a-z0-9]{6}\.[a-z0-9]{16}$/);
    assert.deepEqual([status("config"), status("server-bootstrap")], [200, 401]);
    assert.match(server.k3s("token", "list").stdout, /one/);
    server.k3s("token", "delete", secret);
    assert.equal(status("config"), 401);
  });

  it("writes a kubeconfig as k3s does", () => {
    const kubeconfig = parse(server.read("k3s.yaml")) as {
      clusters: { name: string; cluster: { server: string } }[];
      "current-context": string;
    };
    assert.equal(kubeconfig["current-context"], "default");
    const names = kubeconfig.clusters.map(({ name, cluster }) => [name, cluster.server]);
    assert.deepEqual(names, [["default", "https://127.0.0.1:6443"]]);
    assert.equal(fs.statSync(server.file("k3s.yaml")).mode & 0o777, 0o640);
  });

  it("has its names in its certificate", () => {
    const { body } = server.curl(
      "https://lab.example:6443/ping",
      ...["--no-insecure", "--cacert", server.file("data", "server", "tls", "server-ca.crt")],
      ...["--resolve", `lab.example:6443:${serverAddress}`],
    );
    assert.equal(body, "pong");
  });

  it("keeps secrets encrypted, and saves snapshots under its node's name", () => {
    server.k3s("kubectl", "create", "secret", "generic", "s", "--from-literal=key=plain-to-see");
    const saved = server.k3s("etcd-snapshot", "save", "--name", "before").stdout;
    const name = /before-cp-1-\d+/.exec(saved)?.[0] ?? "";
    const content = fs.readFileSync(server.file("data", "server", "db", "snapshots", name));
    assert.ok(content.length > 10_000);
    assert.ok(!content.includes("plain-to-see"));
    assert.match(server.k3s("etcd-snapshot", "list").stdout, new RegExp(name));
    assert.notEqual(server.k3s("etcd-snapshot", "save", "--name", "../climb").exitCode, 0);
  });

  it("has CoreDNS at the tenth address of services, unless it is disabled", async () => {
    const dns = (...what: string[]): string =>
      server.k3s("kubectl", "-n", "kube-system", "get", "-o", "name", "--ignore-not-found", ...what)
        .stdout;
    const address = server.k3s(
      ...["kubectl", "-n", "kube-system", "get", "service", "kube-dns"],
      ...["-o", "jsonpath={.spec.clusterIP}"],
    );
    assert.equal(address.stdout, "10.43.0.10");
    assert.equal(dns("deployment", "coredns"), "deployment.apps/coredns");

    await server.stop();
    server.configure({ ...config, disable: ["coredns", "traefik"] });
    server.start();
    await server.ready();
    await until(() => dns("deployment", "coredns") === "", "CoreDNS is gone");
    assert.equal(dns("service", "kube-dns"), "");
  });

  it("keeps everything over a restart, and refuses another token", async () => {
    server.k3s("kubectl", "create", "configmap", "kept", "--from-literal=a=b");
    const before = [tokenOf("token"), server.read("data", "server", "tls", "server-ca.crt")];
    assert.equal(await server.stop(), 0);

    server.configure({ ...config, token: "another" });
    server.start();
    assert.equal(await server.ended(), 1);
    assert.match(server.log, /encrypted with different token/);

    server.configure(config);
    server.start();
    await server.ready();
    const after = [tokenOf("token"), server.read("data", "server", "tls", "server-ca.crt")];
    assert.deepEqual(after, before);
    assert.match(server.k3s("kubectl", "get", "configmap", "kept").stdout, /kept/);
  });

  it("refuses keys and flags that k3s has not", async () => {
    const file = server.file("odd.yaml");
    fs.writeFileSync(file, "node-nmae: a\n");
    const key = await runK3s("server", "--config", file);
    assert.equal(key.code, 1);
    assert.match(key.output, /odd\.yaml: unknown key "node-nmae" for a k3s server/);
    const flag = await runK3s("agent", "--cluster-init");
    assert.equal(flag.code, 1);
    assert.match(flag.output, /flag provided but not defined: --cluster-init/);
  });

  it("passes the tests of its own parts", function () {
    requireNeeds(this, ["go"]);
    execFileSync("go", ["test", "-trimpath", "./config", "./pki", "./token"], {
      cwd: path.join(toolSources, "k3s"),
      env: { ...process.env, ...goEnvironment },
    });
  });
});

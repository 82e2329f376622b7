import { execa } from "execa";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { grantAccess } from "../../providers/k3s-cluster/effects/access.ts";
import {
  readSnapshots,
  restoreCluster,
  saveSnapshot,
} from "../../providers/k3s-cluster/effects/restore.ts";
import { pins } from "../../scripts/lib/tools-pins.ts";
import { toolPaths } from "../../scripts/lib/tools-paths.ts";
import { minioProgram } from "../support/minio.ts";
import { requireNeeds } from "../support/needs.ts";
import { endTree, makeScratch, type Scratch, tied, waitUntilReady } from "../support/scratch.ts";
import { SystemCluster, type Wish } from "../support/system-cluster.ts";

const servers = ["k3-d1", "k3-d2", "k3-d3"];
const agent = "k3-dw";
const keys = { accessKey: "snapshots", secretKey: "key-of-the-store" };
const endpoint = "http://10.99.7.1:9000";
const bucket = "backups";

describe("day two of three servers and an agent", function () {
  this.timeout(6 * 60_000);
  this.bail(true);
  let cluster: SystemCluster;
  let scratch: Scratch;
  const undo: (() => void)[] = [];
  const secrets = (word: string) => ({ token: `${word}-server`, agentToken: `${word}-agent` });
  const wish: Wish = {
    ...{ version: pins.k3s, nodes: [...servers, agent] },
    changes: {
      ...secrets("first"),
      snapshotStore: { endpoint, region: "us-east-1", bucket, folder: "etcd/test/kube", ...keys },
    },
  };
  /** As the last run made it. */
  let present = wish;
  const rotated: Wish = { ...wish, changes: { ...wish.changes, ...secrets("second") } };

  /** An object store that machines reach. */
  async function startStore(): Promise<void> {
    const inside = ["nsenter", `--net=${cluster.network}`];
    const address = new URL(endpoint).host;
    const program = [minioProgram(), "server", scratch.folder, "--address", address];
    const [file, args] = tied(inside[0] ?? "", [...inside.slice(1), ...program]);
    const { accessKey, secretKey } = keys;
    const store = spawn(file, args, {
      stdio: "ignore",
      env: { ...process.env, MINIO_ROOT_USER: accessKey, MINIO_ROOT_PASSWORD: secretKey },
    });
    undo.push(() => endTree(store.pid));
    const bucketMade = async (): Promise<boolean> => {
      await put(bucket, ["-X", "PUT"]);
      return true;
    };
    await waitUntilReady("MinIO", bucketMade, () => "");
  }

  async function put(place: string, words: readonly string[]): Promise<void> {
    const sign = ["--aws-sigv4", "aws:amz:us-east-1:s3"];
    const user = ["--user", `${keys.accessKey}:${keys.secretKey}`];
    const curl = ["curl", "-sSf", ...sign, ...user, ...words, `${endpoint}/${place}`];
    await execa("nsenter", [`--net=${cluster.network}`, ...curl]);
  }

  before(async function () {
    requireNeeds(this, ["root", "netns", "mountns", "sshd", "netcat", "k3s", "minio", "curl"]);
    scratch = makeScratch("day-two");
    cluster = new SystemCluster({
      ...Object.fromEntries(servers.map((name) => [name, "server" as const])),
      [agent]: "agent",
    });
    undo.push(
      () => scratch.remove(),
      () => cluster.remove(),
    );
    await cluster.ready();
    await startStore();
    for (const machine of cluster.machines.values()) machine.boot();
  });
  after(() => {
    for (const each of undo.reverse()) each();
  });

  const up = async (wanted: Wish): Promise<void> => {
    const { members, timings } = await cluster.up(wanted);
    process.stderr.write(`      ${JSON.stringify(timings)}\n`);
    assert.deepEqual(
      members.map(({ name, ready }) => [name, ready]).sort(),
      wanted.nodes.map((name) => [name, true]).sort(),
    );
    assert.deepEqual(await cluster.preview(wanted), []);
    present = wanted;
  };
  const tokensOf = async (name: string): Promise<string[]> => {
    const text = await cluster
      .machine(name)
      .run("cat /etc/rancher/k3s/token; cat /var/lib/rancher/k3s/server/token");
    return text.split("\n").map((line) => line.split(":").at(-1) ?? "");
  };
  const create = (name: string): Promise<string> =>
    cluster.kubectl("k3-d1", `create configmap ${name} --from-literal=a=b`);
  let taken = "";

  it("saves etcd into the object store, and lists what is there", async () => {
    await up(wish);
    await create("before");
    const [first] = await cluster.enter(servers);
    assert.ok(first);
    await saveSnapshot(first, "mine");
    const found = await readSnapshots(first);
    assert.deepEqual(
      found.map(({ place }) => place),
      ["disk", "store"],
    );
    taken = found[0]?.name ?? "";
    assert.match(taken, /^mine-k3-d1-\d+$/);
    const stored = await cluster
      .machine("k3-d1")
      .run("stat -c %a /etc/rancher/k3s/config.yaml.d/*");
    assert.equal(stored, "600");
  });

  it("takes new tokens, server by server, then the agent, with nobody away", async () => {
    assert.deepEqual(await cluster.preview(rotated), [
      `have servers ${servers.join(", ")} take a new server token`,
      `restart ${servers.join(", ")} with new tokens, one after the other`,
      `restart ${agent} with new tokens, one after the other`,
    ]);
    await up(rotated);
    for (const name of servers)
      assert.deepEqual(await tokensOf(name), ["second-server", "second-server"]);
    assert.equal((await tokensOf(agent))[0], "second-agent");
    await create("after");
  });

  it("has none of the old tokens let anybody in", async () => {
    const ask = (user: string): Promise<string> =>
      cluster
        .machine(agent)
        .run(
          `curl -sk -o /dev/null -w '%{http_code}' -u '${user}' https://10.99.7.12:6443/v1-k3s/config`,
        );
    assert.deepEqual(
      await Promise.all(["node:first-agent", "server:first-server", "node:second-agent"].map(ask)),
      ["401", "401", "200"],
    );
  });

  it("comes back to a snapshot of the old token, from the store and on another server", async () => {
    const [first, second, third] = await cluster.enter(servers);
    assert.ok(first && second && third);
    const snapshot = (await readSnapshots(second)).find(({ name }) => name === taken);
    assert.ok(snapshot?.place === "store");
    const said: string[] = [];
    await restoreCluster({
      ...{ snapshot, on: second, others: [first, third], timeoutSeconds: 300 },
      report: (line) => said.push(line),
    });
    process.stderr.write(said.map((line) => `      ${line}\n`).join(""));
    const maps = await cluster.kubectl("k3-d3", "get configmaps -o name");
    assert.match(maps, /configmap\/before/);
    assert.doesNotMatch(maps, /configmap\/after/);
    for (const name of servers)
      assert.deepEqual(await tokensOf(name), ["second-server", "second-server"]);
    await up(rotated);
  });

  it("is a whole cluster then, of which one server may be away", async () => {
    await cluster.machine("k3-d2").run("systemctl stop k3s");
    assert.match(await create("later"), /created/);
    await cluster.machine("k3-d2").run("systemctl start k3s");
  });

  it("has machines change one after the other, whatever the order they ask in", async () => {
    const away = new Set<string>();
    const order: string[] = [];
    const change = async (name: string): Promise<void> => {
      await cluster.turn(name, "leaves", rotated);
      away.add(name);
      order.push(name);
      assert.deepEqual([...away], [name], "two were away");
      const unit = name === agent ? "k3s-agent" : "k3s";
      const machine = cluster.machine(name);
      const marked = `k3s kubectl get node ${name} -o jsonpath={.spec.unschedulable}`;
      const other = servers.find((each) => each !== name) ?? "";
      assert.equal(await cluster.machine(other).run(marked), "true");
      await machine.run(`systemctl stop ${unit}`); // as a machine that is made anew
      away.delete(name);
      await cluster.turn(name, "returns", rotated);
    };
    await Promise.all([agent, ...servers].map(change));
    assert.deepEqual(order.sort(), [...servers, agent].sort());
    assert.doesNotMatch(await cluster.kubectl("k3-d1", "get nodes"), /SchedulingDisabled|NotReady/);
    assert.deepEqual(await cluster.preview(rotated), []);
  });

  it("makes new certificates, server by server, then on the agent", async () => {
    const renewed = { ...rotated, changes: { ...rotated.changes, certificateGeneration: 1 } };
    assert.deepEqual(await cluster.preview(renewed), [
      `have ${servers.join(", ")} make new certificates, one after the other`,
      `have ${agent} make new certificates, one after the other`,
    ]);
    const read = (): Promise<string[]> =>
      Promise.all(
        [...servers, agent].map((name) =>
          cluster
            .machine(name)
            .run(
              "cat /var/lib/rancher/k3s/server/tls/client-admin.crt; cat /var/lib/rancher/k3s/agent/client-kubelet.crt",
            ),
        ),
      );
    const before = await read();
    await up(renewed);
    const after = await read();
    for (const [index, text] of after.entries()) assert.notEqual(text, before[index]);
    await create("with-new-certificates");
  });

  it("has a new agent fetch its binary from the object store", async () => {
    const file = toolPaths(process.env).k3s;
    await put(`${bucket}/k3s/binary`, ["--upload-file", file]);
    const sha256 = createHash("sha256").update(fs.readFileSync(file)).digest("hex");
    const place = { endpoint, region: "us-east-1", bucket, key: "k3s/binary" };
    const machine = cluster.machine(agent);
    machine.boot();
    process.env["MINIO_ACCESS_KEY"] = keys.accessKey;
    process.env["MINIO_SECRET_KEY"] = keys.secretKey;
    undo.push(() => {
      delete process.env["MINIO_ACCESS_KEY"];
      delete process.env["MINIO_SECRET_KEY"];
    });
    const binary = { from: "objectStore" as const, ...place, sha256 };
    await up({ ...present, changes: { ...present.changes, binary } });
    assert.match(await machine.run("sha256sum /usr/local/bin/k3s"), new RegExp(`^${sha256} `));
    const lines = await machine.run("cat /proc/*/cmdline /var/lib/groundwork/k3s/*.mark");
    assert.doesNotMatch(lines, /X-Amz-Signature/);
  });

  it("gives access for a while by any server", async () => {
    const [, , third] = await cluster.enter(servers);
    assert.ok(third);
    const { token } = await grantAccess(third.guest, { role: "view", namespace: "default" }, 600);
    const ask = `k3s kubectl --kubeconfig /dev/null --server https://10.99.7.11:6443 --insecure-skip-tls-verify --token ${token} get configmap before -o name`;
    assert.equal(await cluster.machine(agent).run(ask), "configmap/before");
  });

  it("begins with a snapshot of the store where the disks of all servers are new", async () => {
    const [first] = await cluster.enter(servers);
    assert.ok(first);
    await create("lost-and-found");
    await saveSnapshot(first, "last");
    const restoreFrom = (await readSnapshots(first)).find(({ name }) =>
      name.startsWith("last-"),
    )?.name;
    assert.ok(restoreFrom !== undefined);
    for (const name of servers) cluster.machine(name).boot();
    await up({ ...present, changes: { ...present.changes, restoreFrom } });
    for (const name of servers)
      assert.match(await cluster.kubectl(name, "get configmap lost-and-found"), /lost-and-found/);
    await cluster.machine("k3-d1").run("systemctl stop k3s");
    await cluster.kubectl("k3-d2", "create configmap whole --from-literal=a=b");
    await cluster.machine("k3-d1").run("systemctl start k3s");
  });
});

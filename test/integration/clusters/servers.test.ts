import assert from "node:assert/strict";
import { GroundworkError } from "../../../providers/errors.ts";
import { pins } from "../../../scripts/lib/tools-pins.ts";
import { requireNeeds } from "../../support/needs.ts";
import { type Member, SystemCluster, type Wish } from "../../support/system-cluster.ts";

const servers = ["k3-s1", "k3-s2", "k3-s3"];

describe("a k3s cluster of three servers and an agent", function () {
  this.timeout(6 * 60_000);
  this.bail(true);
  let cluster: SystemCluster;
  let removeCluster = (): void => undefined;
  const wish: Wish = { version: pins.k3sBefore, nodes: [...servers, "k3-w1"] };

  before(async function () {
    requireNeeds(this, [
      "root",
      "netns",
      "mountns",
      "sshd",
      "netcat",
      "systemd",
      "containerd",
      "k3s",
    ]);
    cluster = new SystemCluster({
      ...Object.fromEntries(servers.map((name) => [name, "server" as const])),
      "k3-w1": "agent",
    });
    removeCluster = () => cluster.remove();
    await cluster.ready();
    for (const machine of cluster.machines.values()) machine.boot();
  });
  after(() => removeCluster());

  const ready = (version: string, nodes: readonly string[]): Member[] =>
    nodes.map((name) => ({ name, version, ready: true }));
  const byName = (members: readonly Member[]): Member[] =>
    [...members].sort((one, other) => one.name.localeCompare(other.name));
  const up = async (wanted = wish): Promise<void> => {
    const { members, timings } = await cluster.up(wanted);
    process.stderr.write(`      ${JSON.stringify(timings)}\n`);
    assert.deepEqual(byName(members), ready(wanted.version, wanted.nodes));
    assert.deepEqual(await cluster.preview(wanted), []);
  };
  const uids = (server: string): Promise<string> =>
    cluster.kubectl(
      server,
      `get nodes -o jsonpath='{range .items[*]}{.metadata.name}={.metadata.uid} {end}'`,
    );
  const uidOf = (all: string, name: string): string =>
    new RegExp(`${name}=(\\S+)`).exec(all)?.[1] ?? assert.fail(`no ${name} in ${all}`);
  const etcdMembers = async (server: string): Promise<string[]> => {
    const status = await cluster.kubectl(server, "get --raw /readyz/etcd");
    assert.equal(status, "ok");
    const nodes = await cluster.kubectl(
      server,
      "get nodes -l node-role.kubernetes.io/etcd -o name",
    );
    return nodes.split("\n").sort();
  };
  const agentStarted = (): Promise<string> =>
    cluster.machine("k3-w1").run("systemctl show -P ActiveEnterTimestampMonotonic k3s-agent");

  it("is founded by one of them, which the others join", async () => {
    assert.deepEqual(await cluster.preview(wish), [
      "found the cluster on one of k3-s1, k3-s2, k3-s3, once none of them has one",
      "join agents k3-w1",
      "join servers k3-s2, k3-s3",
    ]);
    await up();
    assert.deepEqual(
      await etcdMembers("k3-s3"),
      servers.map((name) => `node/${name}`),
    );
  });

  it("takes a new first server for the one that was lost, and loses nothing else", async () => {
    await cluster.kubectl("k3-s1", "create configmap kept --from-literal=a=b");
    const [before, started] = [await uids("k3-s1"), await agentStarted()];
    cluster.machine("k3-s1").boot();

    await up();

    const after = await uids("k3-s1");
    assert.notEqual(uidOf(after, "k3-s1"), uidOf(before, "k3-s1"));
    for (const name of ["k3-s2", "k3-s3", "k3-w1"])
      assert.equal(uidOf(after, name), uidOf(before, name));
    assert.match(await cluster.kubectl("k3-s1", "get configmap kept"), /kept/);
    assert.equal(await agentStarted(), started, "the agent was started anew");
    // The datastore bears the loss of any other server only if the lost one's member is gone.
    await cluster.machine("k3-s2").run("systemctl stop k3s");
    assert.match(
      await cluster.kubectl("k3-s1", "create configmap more --from-literal=a=b"),
      /more/,
    );
    await cluster.machine("k3-s2").run("systemctl start k3s");
  });

  it("is upgraded server by server, then the agent, from a saved datastore", async () => {
    const wanted = { ...wish, version: pins.k3s };
    const move = (name: string): string =>
      `upgrade server ${name} from ${pins.k3sBefore} to ${pins.k3s}`;
    assert.deepEqual(await cluster.preview(wanted), [
      "save the datastore",
      ...servers.map(move),
      `drain agents k3-w1 and upgrade them to ${pins.k3s}`,
    ]);
    await up(wanted);
    const snapshots = await Promise.all(
      servers.map((name) => cluster.machine(name).run("k3s etcd-snapshot list")),
    );
    assert.match(snapshots.join("\n"), /groundwork-before-v1\.34\.3-k3s1-k3-s\d-\d+/);
    assert.doesNotMatch(await cluster.kubectl("k3-s1", "get nodes"), /SchedulingDisabled/);
  });

  it("refuses to go back", async () => {
    await assert.rejects(
      cluster.preview(wish),
      (error: unknown) => error instanceof GroundworkError && error.code === "k3s-downgrade",
    );
  });

  it("gives up an agent", async () => {
    const wanted = { version: pins.k3s, nodes: servers };
    assert.deepEqual(await cluster.preview(wanted), ["drain k3-w1 and delete its Node"]);
    await up(wanted);
  });

  it("is not founded a second time where all of it was lost", async () => {
    for (const name of servers) cluster.machine(name).boot();
    await assert.rejects(
      cluster.up({ version: pins.k3s, nodes: servers }),
      (error: unknown) => error instanceof GroundworkError && error.code === "k3s-data-lost",
    );
  });
});

import assert from "node:assert/strict";
import { GroundworkError } from "../../providers/errors.ts";
import { pins } from "../../scripts/lib/tools-pins.ts";
import { requireNeeds } from "../support/needs.ts";
import { SystemCluster, type Wish } from "../support/system-cluster.ts";

const servers = ["k3-r1", "k3-r2", "k3-r3"];
const agent = "k3-rw";
const all = [...servers, agent];

describe("three servers and an agent that get another base image", function () {
  this.timeout(8 * 60_000);
  this.bail(true);
  let cluster: SystemCluster;
  let removeCluster = (): void => undefined;
  const former: Wish = { version: pins.k3sBefore, nodes: all };
  const wanted: Wish = { version: pins.k3s, nodes: all };

  before(async function () {
    requireNeeds(this, ["root", "netns", "mountns", "sshd", "netcat"]);
    requireNeeds(this, ["systemd", "containerd", "k3s"]);
    cluster = new SystemCluster({
      ...Object.fromEntries(servers.map((name) => [name, "server" as const])),
      [agent]: "agent",
    });
    removeCluster = () => cluster.remove();
    await cluster.ready();
    for (const machine of cluster.machines.values()) machine.boot();
  });
  after(() => removeCluster());

  const uids = async (through: string): Promise<Map<string, string>> => {
    const format = "{range .items[*]}{.metadata.name}={.metadata.uid} {end}";
    const text = await cluster.kubectl(through, `get nodes -o jsonpath='${format}'`);
    return new Map(
      text
        .trim()
        .split(" ")
        .map((pair) => pair.split("=") as [string, string]),
    );
  };

  /** The datastore is saved where its disk stays for the longest time. */
  const expectSaved = async (names: readonly string[]): Promise<void> => {
    const lists = await Promise.all(
      names.map((name) => cluster.machine(name).run("k3s etcd-snapshot list")),
    );
    assert.match(lists.join("\n"), /groundwork-before-v1\.34\.3-k3s1-k3-r\d-\d+/);
  };

  it("refuses to make an agent newer than servers that keep their disks", async () => {
    await cluster.up(former);
    await assert.rejects(
      cluster.turn(agent, "leaves", wanted, [agent]),
      (error: unknown) => error instanceof GroundworkError && error.code === "k3s-agents-ahead",
    );
  });

  it("does not let a node go whose new disk would bring tokens that nobody has yet", async () => {
    const rotated = { ...former, changes: { token: "next-server", agentToken: "next-agent" } };
    await assert.rejects(
      cluster.turn("k3-r1", "leaves", rotated, all),
      (error: unknown) => error instanceof GroundworkError && error.code === "k3s-tokens-first",
    );
    const nodes = await cluster.kubectl("k3-r1", "get nodes");
    assert.doesNotMatch(nodes, /SchedulingDisabled/);
  });

  it("takes one after the other, servers before the agent, also to another version", async () => {
    await cluster.kubectl("k3-r1", "create configmap kept --from-literal=a=b");
    const lost = await uids("k3-r1");
    const away = new Set<string>();
    const order: string[] = [];
    const change = async (name: string): Promise<void> => {
      await cluster.turn(name, "leaves", wanted, all);
      away.add(name);
      order.push(name);
      assert.deepEqual([...away], [name], "two were away");
      if (order.length === 1) await expectSaved(servers.filter((each) => each !== name));
      cluster.machine(name).boot(); // with nothing on its disk
      await cluster.turn(name, "returns", wanted, all);
      away.delete(name);
    };
    await Promise.all([agent, ...servers].map(change));

    assert.equal(order.at(-1), agent);
    const present = await uids("k3-r3");
    for (const name of all) assert.notEqual(present.get(name), lost.get(name), name);
    assert.match(await cluster.kubectl("k3-r2", "get configmap kept"), /kept/);
    assert.doesNotMatch(await cluster.kubectl("k3-r1", "get nodes"), /SchedulingDisabled|NotReady/);
  });

  it("is as wished then, and bears the loss of any server", async () => {
    const { members } = await cluster.up(wanted);
    assert.deepEqual(
      members.map(({ name, version, ready }) => [name, version, ready]).sort(),
      all.map((name) => [name, pins.k3s, true]),
    );
    assert.deepEqual(await cluster.preview(wanted), []);
    await cluster.machine("k3-r2").run("systemctl stop k3s");
    const made = await cluster.kubectl("k3-r1", "create configmap more --from-literal=a=b");
    assert.match(made, /more/);
    await cluster.machine("k3-r2").run("systemctl start k3s");
  });
});

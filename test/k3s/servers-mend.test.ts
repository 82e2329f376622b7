import assert from "node:assert/strict";
import { GroundworkError } from "../../providers/errors.ts";
import type { ClusterArguments } from "../../providers/k3s-cluster/core/arguments.ts";
import { pins } from "../../scripts/lib/tools-pins.ts";
import { requireNeeds } from "../support/needs.ts";
import { SystemCluster, type Wish } from "../support/system-cluster.ts";

const server = "k3-m1";
const agents = ["k3-mw1", "k3-mw2"] as const;

describe("a server and agents of which some are in a bad way", function () {
  this.timeout(6 * 60_000);
  this.bail(true);
  let cluster: SystemCluster;
  let removeCluster = (): void => undefined;

  before(async function () {
    requireNeeds(this, ["root", "netns", "mountns", "sshd", "netcat"]);
    requireNeeds(this, ["systemd", "containerd", "k3s"]);
    cluster = new SystemCluster({ [server]: "server", [agents[0]]: "agent", [agents[1]]: "agent" });
    removeCluster = () => cluster.remove();
    await cluster.ready();
    for (const machine of cluster.machines.values()) machine.boot();
  });
  after(() => removeCluster());

  const wish = (nodes: readonly string[], changes: Partial<ClusterArguments> = {}): Wish => ({
    ...{ version: pins.k3s, nodes: [server, ...nodes] },
    changes: { timeoutSeconds: 60, ...changes },
  });
  /** The API server ends at once for it. */
  const serverConfig = { "kube-apiserver-arg": ["audit-policy-file=/nowhere"] };
  const up = async (wanted: Wish): Promise<void> => {
    const { members } = await cluster.up({
      ...wanted,
      changes: { ...wanted.changes, timeoutSeconds: 240 },
    });
    assert.deepEqual(
      members.map(({ name, ready }) => [name, ready]).sort(),
      wanted.nodes.map((name) => [name, true]).sort(),
    );
  };
  const fail = (code: string, wanted: Wish, says: RegExp): Promise<void> =>
    assert.rejects(cluster.up(wanted), (error: unknown) => {
      assert.ok(error instanceof GroundworkError, String(error));
      assert.equal(error.code, code);
      assert.match(error.message, says);
      return true;
    });

  it("is mended where it was founded with what it cannot run with", async () => {
    await fail("k3s-not-ready", { ...wish([agents[0]]), serverConfig }, /nowhere/);
    await up(wish([agents[0]]));
  });

  it("is mended where a change made it stand still and is taken back", async () => {
    await fail("command-timed-out", { ...wish([agents[0]]), serverConfig }, /nowhere/);
    await up(wish([agents[0]]));
  });

  it("has another agent join though one cannot be entered, and names that one in the end", async () => {
    await cluster.machine(agents[0]).run("systemctl stop ssh");
    await fail(
      "k3s-node-unreachable",
      wish([...agents], { timeoutSeconds: 75 }),
      new RegExp(agents[0]),
    );
    assert.match(await cluster.kubectl(server, "get nodes"), new RegExp(`${agents[1]} +Ready`));
    await cluster.machine(agents[0]).run("systemctl start ssh");
    await up(wish([...agents]));
  });
});

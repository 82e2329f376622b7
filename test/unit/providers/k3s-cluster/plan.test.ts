import assert from "node:assert/strict";
import fc from "fast-check";
import type { ClusterWish } from "../../../../providers/k3s-cluster/core/arguments.ts";
import type { ObservedNode } from "../../../../providers/k3s-cluster/core/observed.ts";
import {
  type ObservedCluster,
  planBeginning,
  planCluster,
  renderPlan,
  refuseDatastore,
  renderStep,
} from "../../../../providers/k3s-cluster/core/plan.ts";

const version = "v1.34.3+k3s1";

function node(name: string, changes: Partial<ObservedNode> = {}): ObservedNode {
  return {
    name,
    version,
    ready: true,
    reason: "",
    labels: {},
    taints: [],
    cordonedByUs: false,
    bootId: "",
    ...changes,
  };
}

function wish(
  servers: string[],
  agents: string[],
  changes: Partial<ClusterWish> = {},
): ClusterWish {
  return {
    ...{ cluster: "kube", version, datastore: "etcd" as const, maxUnavailable: 1 },
    waitForReady: true,
    nodes: [
      ...servers.map((name) => ({ name, role: "server" as const })),
      ...agents.map((name) => ({ name, role: "agent" as const })),
    ],
    ...changes,
  };
}

const exists = (...nodes: ObservedNode[]): ObservedCluster => ({
  ...{ kind: "exists", nodes, datastore: "etcd", staleTokens: [], staleCertificates: [] },
});
const steps = (...args: Parameters<typeof planCluster>): string[] =>
  planCluster(...args).map(renderStep);

describe("planCluster", () => {
  it("founds a cluster, and has agents join without waiting for other servers", () => {
    assert.deepEqual(steps(wish(["a", "b", "c"], ["w"]), { kind: "none" }, []), [
      "found the cluster on one of a, b, c, once none of them has one",
      "join agents w",
      "join servers b, c",
    ]);
  });

  it("has nothing to do for a cluster that is as wished", () => {
    assert.deepEqual(steps(wish(["a"], ["w"]), exists(node("a"), node("w")), ["a", "w"]), []);
  });

  it("is shown with the nodes that are waited for, unless no network plug-in of k3s makes them Ready", () => {
    const away = { ready: false };
    const seen = exists(node("a"), node("b", away), node("w", away), node("other", away));
    const shown = (changes: Partial<ClusterWish>): string[] =>
      renderPlan(wish(["a", "b"], ["w"], changes), seen, ["a", "b", "w"]);
    assert.deepEqual(shown({}), ["wait until b, w can be seen to be Ready"]);
    assert.deepEqual(shown({ waitForReady: false }), []);
    assert.deepEqual(renderPlan(wish(["a"], []), exists(node("a")), []), []);
  });

  it("has a new agent join, and drains one that goes", () => {
    assert.deepEqual(steps(wish(["a"], ["w2"]), exists(node("a"), node("w1")), ["a", "w1"]), [
      "drain w1 and delete its Node",
      "join agents w2",
    ]);
  });

  it("removes a node that joined in a run that failed, of which only its label tells", () => {
    const joined = (name: string, cluster: string): ObservedNode =>
      node(name, { labels: { "groundwork.dev/cluster": cluster } });
    const seen = exists(node("a"), joined("b", "kube"), joined("c", "other"));
    assert.deepEqual(steps(wish(["a"], []), seen, ["a"]), ["drain b and delete its Node"]);
  });

  it("makes etcd of the only server's SQLite before others join it", () => {
    const old = { version: "v1.34.2+k3s1" };
    const seen = (...nodes: ObservedNode[]): ObservedCluster =>
      ({ ...exists(...nodes), datastore: "sqlite" }) as ObservedCluster;
    assert.deepEqual(
      steps(wish(["a", "b", "c"], ["w"]), seen(node("a", old), node("w", old)), []),
      [
        "save the datastore",
        `upgrade server a from v1.34.2+k3s1 to ${version}`,
        "restart a with etcd in place of SQLite, so that servers can join it",
        "join servers b, c",
        `drain agents w and upgrade them to ${version}`,
      ],
    );
    assert.deepEqual(steps(wish(["a"], [], { datastore: "sqlite" }), seen(node("a")), []), []);
  });

  it("is refused where etcd were to become SQLite, as by one server in place of three", () => {
    const has = { cluster: "kube", datastore: "etcd" } as const;
    assert.match(refuseDatastore(has, { datastore: "sqlite" }) ?? "", /cluster "kube" has etcd/);
    assert.equal(refuseDatastore(has, { datastore: "etcd" }), undefined);
    assert.equal(refuseDatastore({ ...has, datastore: "sqlite" }, has), undefined);
  });

  it("never removes a node that is not ours", () => {
    assert.deepEqual(steps(wish(["a"], []), exists(node("a"), node("laptop")), ["a"]), []);
  });

  it("upgrades servers one by one after a snapshot, then agents in batches", () => {
    const old = { version: "v1.34.2+k3s1" };
    const names = ["a", "b", "c", "w1", "w2", "w3"];
    assert.deepEqual(
      steps(
        wish(["a", "b", "c"], ["w1", "w2", "w3"], { maxUnavailable: 2 }),
        exists(...names.map((name) => node(name, old))),
        names,
      ),
      [
        "save the datastore",
        ...["a", "b", "c"].map((name) => `upgrade server ${name} from v1.34.2+k3s1 to ${version}`),
        `drain agents w1, w2 and upgrade them to ${version}`,
        `drain agents w3 and upgrade them to ${version}`,
      ],
    );
  });

  it("upgrades first what is away already, for nobody else may go before that is back", () => {
    const old = { version: "v1.34.2+k3s1" };
    const away = { ...old, ready: false };
    const agents = [node("w1", old), node("w2", away)];
    const seen = exists(node("a", old), node("b", away), node("c", old), ...agents);
    assert.deepEqual(steps(wish(["a", "b", "c"], ["w1", "w2"]), seen, []), [
      "save the datastore",
      ...["b", "a", "c"].map((name) => `upgrade server ${name} from v1.34.2+k3s1 to ${version}`),
      `drain agents w2 and upgrade them to ${version}`,
      `drain agents w1 and upgrade them to ${version}`,
    ]);
  });

  it("has servers take new tokens before agents, and before anybody joins with them", () => {
    const cluster = { ...exists(node("a"), node("b"), node("c"), node("w")) };
    const stale = { ...cluster, staleTokens: ["a", "b", "c", "w"] } as ObservedCluster;
    assert.deepEqual(steps(wish(["a", "b", "c"], ["w", "new"]), stale, []), [
      "have servers a, b, c take a new server token",
      "restart a, b, c with new tokens, one after the other",
      "join agents new",
      "restart w with new tokens, one after the other",
    ]);
  });

  it("has nodes make new certificates, but for those that restart for something else", () => {
    const old = node("a", { version: "v1.34.2+k3s1" });
    const seen = {
      ...exists(old, node("b"), node("c"), node("w"), node("laptop")),
      ...{ staleTokens: ["b"], staleCertificates: ["a", "b", "c", "w", "laptop"] },
    };
    assert.deepEqual(steps(wish(["a", "b", "c"], ["w"]), seen as ObservedCluster, []), [
      "have servers b take a new server token",
      "save the datastore",
      `upgrade server a from v1.34.2+k3s1 to ${version}`,
      "restart b with new tokens, one after the other",
      "have c make new certificates, one after the other",
      "have w make new certificates, one after the other",
    ]);
  });

  it("goes on with a rotation that broke off at the nodes that have not got there", () => {
    const rotated = { ...exists(node("a"), node("w")), staleTokens: ["w"] } as ObservedCluster;
    assert.deepEqual(steps(wish(["a"], ["w"]), rotated, []), [
      "restart w with new tokens, one after the other",
    ]);
  });

  it("renews tokens by an upgrade where there is one, and saves what the new token opens", () => {
    const old = { version: "v1.34.2+k3s1" };
    const seen = { ...exists(node("a", old), node("w")), staleTokens: ["a", "w"] };
    assert.deepEqual(steps(wish(["a"], ["w"]), seen as ObservedCluster, []), [
      "have servers a take a new server token",
      "save the datastore",
      `upgrade server a from v1.34.2+k3s1 to ${version}`,
      "restart w with new tokens, one after the other",
    ]);
  });

  it("goes on with an upgrade that broke off, and lets pods back where it had kept them away", () => {
    const old = { version: "v1.34.2+k3s1" };
    const half = exists(node("a"), node("w1", { cordonedByUs: true }), node("w2", old));
    assert.deepEqual(steps(wish(["a"], ["w1", "w2"]), half, ["a", "w1", "w2"]), [
      `drain agents w2 and upgrade them to ${version}`,
      "let pods onto w1 again",
    ]);
  });

  it("has new nodes come only once the servers have the version that they bring", () => {
    const kinds = planCluster(wish(["a"], ["w"]), exists(node("a", { version: "v1.33.9+k3s2" })), [
      "a",
    ]);
    assert.deepEqual(
      kinds.map(({ kind }) => kind),
      ["snapshot", "upgradeServer", "join"],
    );
  });

  it("refuses an older version, also of one node only", () => {
    const newer = exists(node("a"), node("w", { version: "v1.34.4+k3s1" }));
    assert.throws(() => planCluster(wish(["a"], ["w"]), newer, []), { code: "k3s-downgrade" });
  });

  it("refuses to skip a minor version, and says the next one", () => {
    const old = exists(node("a", { version: "v1.32.9+k3s1" }));
    assert.throws(() => planCluster(wish(["a"], []), old, []), {
      code: "k3s-skips-minor",
      message: /Upgrade to a version v1\.33 first/,
    });
  });

  it("plans nothing more once its own plan was carried out", () => {
    const names = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e", "f"), { minLength: 1 });
    const versions = fc.constantFrom("v1.33.1+k3s1", "v1.34.1+k3s1", version);
    fc.assert(
      fc.property(
        names,
        fc.array(fc.tuple(fc.constantFrom("a", "b", "x", "y"), versions)),
        (wished, there) => {
          const [first = "a", ...others] = wished;
          const desired = wish([first], others);
          const nodes = [...new Map(there)].map(([name, seen]) => node(name, { version: seen }));
          const ours = nodes.map(({ name }) => name);
          const plan = planCluster(desired, exists(...nodes), ours);
          const removed = plan.flatMap((step) => (step.kind === "remove" ? [step.node] : []));
          assert.ok(removed.every((name) => !wished.some((each) => each === name)));
          const after = exists(...wished.map((name) => node(name)));
          assert.deepEqual(planCluster(desired, after, ours), []);
        },
      ),
    );
  });
});

describe("planBeginning", () => {
  const seen = (name: string, hasData: boolean): { name: string; hasData: boolean } => ({
    name,
    hasData,
  });

  it("founds a cluster where no server has one", () => {
    assert.deepEqual(planBeginning([seen("a", false), seen("b", false)], false, "kube"), {
      kind: "found",
      server: "a",
    });
  });

  it("never founds one where any server has it, though the first of them is new", () => {
    for (const founded of [true, false])
      assert.deepEqual(planBeginning([seen("a", false), seen("b", true)], founded, "kube"), {
        kind: "exists",
        servers: ["b"],
      });
  });

  it("begins with a snapshot that is named, but only where no server has data", () => {
    const begin = (hasData: boolean): unknown =>
      planBeginning([seen("a", false), seen("b", hasData)], true, "kube", true);
    assert.deepEqual(begin(false), { kind: "restore", server: "a" });
    assert.deepEqual(begin(true), { kind: "exists", servers: ["b"] });
  });

  it("refuses to found one a second time when all data are gone", () => {
    const beginning = planBeginning([seen("a", false)], true, "kube");
    assert.equal(beginning.kind === "refused" && beginning.reason.code, "k3s-data-lost");
  });
});

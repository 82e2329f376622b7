import assert from "node:assert/strict";
import fc from "fast-check";
import type { ObservedNode } from "../../../../providers/k3s-cluster/core/observed.ts";
import type { TurnNode } from "../../../../providers/k3s-turn/core/arguments.ts";
import { GroundworkError } from "../../../../providers/errors.ts";
import {
  isBack,
  isLost,
  isRewritten,
  judgeRebuild,
  listAway,
  refuseLoss,
} from "../../../../providers/k3s-turn/core/turn.ts";

const node = (name: string): TurnNode => ({
  ...{ name, role: name.startsWith("s") ? "server" : "agent", address: "10.0.0.1" },
  ...{ user: "deploy", hostPublicKey: "ssh-ed25519 AAAA", hypervisorUri: "qemu:///system" },
});
const seen = (name: string, changes: Partial<ObservedNode> = {}): ObservedNode => ({
  ...{ name, version: "v1.34.3+k3s1", ready: true, reason: "", labels: {}, taints: [] },
  ...{ cordonedByUs: false, bootId: "boot" },
  ...changes,
});
const names = ["s1", "s2", "s3", "w1", "w2", "w3"];
const wish = (name: string, maxUnavailable = 1) => ({
  ...{ name, nodes: names.map(node), maxUnavailable },
});
const with_ = (...changes: [string, Partial<ObservedNode>][]): ObservedNode[] =>
  names.map((name) => seen(name, new Map(changes).get(name)));

describe("listAway", () => {
  const down = { ready: false };
  const cordoned = { cordonedByUs: true };
  const cases: [string, string, number, ObservedNode[], string[]][] = [
    ["a server goes when all are there", "s1", 1, with_(), []],
    ["a server stays while another has its turn", "s1", 1, with_(["s2", cordoned]), ["s2"]],
    ["a server stays while an agent is down", "s1", 3, with_(["w1", down]), ["w1"]],
    ["an agent stays while a server is down", "w1", 3, with_(["s1", down]), ["s1"]],
    ["an agent stays while another is away", "w1", 1, with_(["w2", down]), ["w2"]],
    ["an agent goes beside another where two may", "w1", 2, with_(["w2", cordoned]), []],
    ["but no third", "w1", 2, with_(["w2", down], ["w3", down]), ["w2", "w3"]],
    ["it does not wait for itself", "w1", 1, with_(["w1", down]), []],
  ];
  for (const [title, name, maximum, nodes, away] of cases)
    it(title, () => assert.deepEqual(listAway(nodes, wish(name, maximum), names), away));

  it("counts nobody whom the cluster does not know, or who is not ours", () => {
    const strangers = [...with_().slice(0, 3), seen("laptop", down)];
    assert.deepEqual(listAway(strangers, wish("s1"), ["s1", "s2", "s3"]), []);
  });

  it("counts a node that was there and has no Node while its disk is new", () => {
    assert.deepEqual(listAway(with_().slice(1), wish("s2"), names), ["s1"]);
  });

  it("counts a server that is Ready and has no vote in etcd yet", () => {
    const votes = { votes: true };
    const told = (s1: Partial<ObservedNode>): ObservedNode[] =>
      with_(["s1", s1], ["s2", votes], ["s3", votes]);
    assert.deepEqual(listAway(told({}), wish("s2"), names), ["s1"]);
    assert.deepEqual(listAway(told({ votes: false }), wish("s2"), names), ["s1"]);
    assert.deepEqual(listAway(told(votes), wish("s2"), names), []);
  });

  it("never lets two servers go, nor more agents than may, whatever the order", () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(names, { minLength: 6 }),
        fc.integer({ min: 1, max: 3 }),
        (order, maximum) => {
          const gone: string[] = [];
          for (const name of order) {
            const nodes = with_(...gone.map((each): [string, typeof cordoned] => [each, cordoned]));
            if (listAway(nodes, wish(name, maximum), names).length === 0) gone.push(name);
          }
          const servers = gone.filter((name) => name.startsWith("s"));
          assert.ok(servers.length === 0 ? gone.length <= maximum : gone.length === 1, gone.join());
        },
      ),
    );
  });
});

describe("isBack", () => {
  it("trusts what the API says of a node only for its present boot", () => {
    const ask = (changes: Partial<ObservedNode>): boolean =>
      isBack([seen("w1", changes)], { name: "w1", bootId: "boot" });
    assert.equal(ask({}), true);
    assert.equal(ask({ bootId: "the boot before" }), false);
    assert.equal(ask({ ready: false }), false);
    assert.equal(isBack([], { name: "w1", bootId: "boot" }), false);
  });
});

describe("a disk that is written anew", () => {
  const settings = {
    ...({ cluster: "kube", version: "v1.34.3+k3s1" } as const),
    ...({ datastore: "etcd", maxUnavailable: 1, waitForReady: true } as const),
    nodes: names.map(node),
  };
  const old = { version: "v1.34.2+k3s1" };
  const ids = (changes: Record<string, string>): Record<string, string> => ({
    ...Object.fromEntries(names.map((name) => [name, "a 0"])),
    ...changes,
  });
  const before = { nodes: names, diskIds: ids({}) };
  const args = (name: string, changed: readonly string[]) => ({
    ...{ cluster: "kube", name, nodes: names.map(node) },
    diskIds: ids(Object.fromEntries(changed.map((each) => [each, "b 0"]))),
  });
  const refused = (code: string) => (error: unknown) =>
    error instanceof GroundworkError && error.code === code;

  it("is told by its identity, where both are known", () => {
    assert.equal(isRewritten(args("s1", ["s1"]), before, "s1"), true);
    assert.equal(isRewritten(args("s1", ["s1"]), before, "s2"), false);
    assert.equal(isRewritten(args("s1", ["s1"]), { nodes: names, diskIds: {} }, "s1"), false);
    assert.equal(isRewritten({}, before, "s1"), false);
  });

  it("goes at once where all have the version", () => {
    const goes = { kind: "goes", saves: false };
    for (const name of ["s2", "w1"])
      assert.deepEqual(judgeRebuild(args(name, names), settings, with_(), before), goes);
  });

  it("of the first server is given away after the datastore was saved, where the version changes", () => {
    const all = with_(...["s1", "s2", "s3"].map((name): [string, typeof old] => [name, old]));
    const two = with_(...["s2", "s3"].map((name): [string, typeof old] => [name, old]));
    const judge = (seen: ObservedNode[]) => judgeRebuild(args("s2", names), settings, seen, before);
    assert.deepEqual(judge(all), { kind: "goes", saves: true });
    assert.deepEqual(judge(two), { kind: "goes", saves: false });
  });

  it("of an agent waits for servers that get the version by theirs, and never goes before them", () => {
    const seen = with_(["s3", old]);
    const waits = judgeRebuild(args("w1", names), settings, seen, before);
    assert.match(waits.kind === "waits" ? waits.why : "", /s3 has v1\.34\.2/);
    assert.throws(
      () => judgeRebuild(args("w1", ["w1"]), settings, seen, before),
      refused("k3s-agents-ahead"),
    );
  });

  it("brings no older version", () => {
    const newer = with_(["w2", { version: "v1.34.4+k3s1" }]);
    assert.throws(
      () => judgeRebuild(args("s1", names), settings, newer, before),
      refused("k3s-downgrade"),
    );
  });

  it("is refused to the only server, unless the cluster begins with a snapshot", () => {
    const nodes = [node("s1"), node("w1")];
    const lone = (restoreFrom?: string) => ({
      ...args("s1", ["s1"]),
      nodes,
      settings: { restoreFrom } as never,
    });
    assert.throws(() => refuseLoss(lone(), before), refused("k3s-data-lost"));
    refuseLoss(lone("snapshot"), before);
    refuseLoss({ ...lone(), name: "w1" }, before);
    refuseLoss({ ...args("s1", ["s1"]), settings: {} as never }, before);
    assert.equal(isLost(lone(), before), true);
    assert.equal(isLost(args("s1", names), before), false);
  });
});

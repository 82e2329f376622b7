import assert from "node:assert/strict";
import fc from "fast-check";
import type { ObservedNode } from "../../../../providers/k3s-cluster/core/observed.ts";
import type { TurnNode } from "../../../../providers/k3s-turn/core/arguments.ts";
import { isBack, listAway } from "../../../../providers/k3s-turn/core/turn.ts";

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
    it(title, () => assert.deepEqual(listAway(nodes, wish(name, maximum)), away));

  it("counts nobody whom the cluster does not know, or who is not ours", () => {
    const strangers = [...with_().slice(0, 3), seen("laptop", down)];
    assert.deepEqual(listAway(strangers, wish("s1")), []);
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
            if (listAway(nodes, wish(name, maximum)).length === 0) gone.push(name);
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

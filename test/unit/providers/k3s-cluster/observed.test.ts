import assert from "node:assert/strict";
import fc from "fast-check";
import { parseApiLine, renderKubectl } from "../../../../providers/k3s-cluster/core/api-script.ts";
import {
  listBlocking,
  listMissing,
  type ObservedNode,
  parseNodes,
} from "../../../../providers/k3s-cluster/core/observed.ts";
import { renderSqliteCopy } from "../../../../providers/k3s-cluster/core/snapshots.ts";
import { compareVersions, parseVersion } from "../../../../providers/k3s-cluster/core/version.ts";

const item = (name: string, ready: string): object => ({
  metadata: { name, labels: { tier: "web" }, annotations: { "groundwork.dev/cordoned": "true" } },
  spec: {
    taints: [
      { key: "dedicated", value: "web", effect: "NoSchedule" },
      { key: "gone", effect: "NoExecute" },
    ],
  },
  status: {
    nodeInfo: { kubeletVersion: "v1.34.3+k3s1", bootID: "boot" },
    conditions: [{ type: "Ready", status: ready, message: "the CNI is not there" }],
  },
});
const list = (...items: object[]): string => JSON.stringify({ kind: "NodeList", items });

describe("parseNodes", () => {
  it("reads what a plan needs of a NodeList", () => {
    assert.deepEqual(parseNodes(list(item("a", "True"))), [
      {
        ...{ name: "a", version: "v1.34.3+k3s1", ready: true, reason: "" },
        labels: { tier: "web" },
        taints: ["dedicated=web:NoSchedule", "gone:NoExecute"],
        cordonedByUs: true,
        bootId: "boot",
      },
    ]);
  });

  it("never throws, whatever the API said", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        parseNodes(text);
        parseApiLine(`groundwork-api ${text}`);
      }),
    );
  });
});

describe("parseApiLine", () => {
  it("reads an answer, a silence and nothing else", () => {
    const sighting = parseApiLine(`groundwork-api answers 1 ${list(item("a", "False"))}`);
    assert.ok(sighting?.kind === "answers");
    assert.equal(sighting.coreDns, 1);
    assert.deepEqual(parseApiLine("groundwork-api silent no kubeconfig yet"), {
      kind: "silent",
      detail: "no kubeconfig yet",
    });
    assert.equal(parseApiLine("Last login: today"), undefined);
    assert.equal(parseApiLine("groundwork-api answers 0 oops")?.kind, "silent");
  });
});

describe("listMissing", () => {
  const nodes = parseNodes(list(item("a", "True"), item("b", "False"))) ?? [];
  const expect = (name: string, labels = {}, version = "v1.34.3+k3s1") => ({
    ...{ version, ready: true, coreDns: false, nodes: [{ name, labels }] },
  });
  const missing = (...args: Parameters<typeof expect>): string[] =>
    listMissing({ kind: "answers", nodes, coreDns: 0 }, expect(...args));

  it("is empty once a node is Ready with its version and labels", () => {
    assert.deepEqual(missing("a", { tier: "web" }), []);
  });

  it("says of each node what it lacks", () => {
    assert.deepEqual(missing("c"), ["c has not joined yet"]);
    assert.deepEqual(missing("b"), ["b is not Ready: the CNI is not there"]);
    assert.deepEqual(missing("a", {}, "v1.34.4+k3s1"), ["a has v1.34.3+k3s1 and not v1.34.4+k3s1"]);
    assert.deepEqual(missing("a", { tier: "db" }), ["a lacks the label tier=db"]);
  });

  it("waits for CoreDNS once the nodes are there", () => {
    const wanted = { ...expect("a"), coreDns: true };
    const seen = { kind: "answers", nodes, coreDns: 0 } as const;
    assert.deepEqual(listMissing(seen, wanted), ["CoreDNS is not available yet"]);
    assert.deepEqual(listMissing({ ...seen, coreDns: 1 }, wanted), []);
  });
});

describe("compareVersions", () => {
  it("orders minor, patch, candidates before releases, and k3s's own number", () => {
    const ordered = [
      "v1.33.9+k3s2",
      "v1.34.0-rc1+k3s1",
      "v1.34.0-rc2+k3s1",
      "v1.34.0+k3s1",
      "v1.34.3+k3s1",
      "v1.34.3+k3s2",
      "v1.34.10+k3s1",
    ];
    const parsed = ordered.map((text) => {
      const version = parseVersion(text);
      assert.ok(version, text);
      return version;
    });
    parsed.forEach((one, index) =>
      parsed.forEach((other, at) =>
        assert.equal(compareVersions(one, other), Math.sign(index - at)),
      ),
    );
    assert.equal(parseVersion("v1.34.3"), undefined);
  });
});

describe("scripts for the API", () => {
  it("quote what they hand to kubectl", () => {
    assert.match(renderKubectl([["label", "node", "a", "x=y z"]]), /label node a 'x=y z'$/);
  });

  it("save SQLite only while k3s stands still, and start it again whatever happens", () => {
    const script = renderSqliteCopy("before");
    assert.ok(script.indexOf("trap") < script.indexOf("systemctl stop"));
    assert.ok(script.indexOf("systemctl stop") < script.indexOf("tar "));
  });
});

describe("listBlocking", () => {
  const wish = {
    maxUnavailable: 2,
    nodes: [
      ...["a", "b", "c"].map((name) => ({ name, role: "server" as const })),
      ...["w1", "w2", "w3", "w4"].map((name) => ({ name, role: "agent" as const })),
    ],
  };
  const seen = (...away: string[]): ObservedNode[] =>
    wish.nodes.map(({ name }) => ({
      ...{ name, version: "", reason: "", labels: {}, taints: [], cordonedByUs: false, bootId: "" },
      ready: !away.includes(name),
    }));

  const cases: [string, string[], string[], string[]][] = [
    ["a server while another one is away", ["b"], ["a"], ["b"]],
    ["no server for an agent that is away", ["w1"], ["a"], []],
    ["nobody who is away itself", ["a", "b"], ["a"], []],
    ["agents while a server is away", ["c"], ["w1"], ["c"]],
    ["agents that would be too many with those that are away", ["w3"], ["w1", "w2"], ["w3"]],
    ["no agents for which there is room", ["w3"], ["w1"], []],
  ];
  for (const [what, away, names, blocking] of cases)
    it(`keeps ${what}`, () => {
      assert.deepEqual(listBlocking(wish, seen(...away), names), blocking);
    });

  it("counts a server as away whose etcd has no vote", () => {
    const nodes = seen().map((node) => ({ ...node, votes: node.name !== "b" }));
    assert.deepEqual(listBlocking(wish, nodes, ["a"]), ["b"]);
  });
});

import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { clusterSections, serverPool } from "../support/cluster.ts";
import { isMarkedSecret, type MockedRun, runMocked } from "../support/mocked-program.ts";

type Program = typeof import("../../index.ts");

const secrets = { server: "aa".repeat(32), agent: "bb".repeat(32), kubeconfig: "kind: Config" };

function answer(type: string, name: string): object {
  const kind = type.split(/[:/]/).at(-1) ?? "";
  if (kind === "HostFacts")
    return {
      ...{ accelerator: "qemu", firmware: { uefi: { code: "/code.fd", vars: "/vars.fd" } } },
      ...{ cpus: 8, memoryMiB: 16000, memoryAvailableMiB: 12000, reachable: true },
    };
  if (pulumi.runtime.isDryRun()) return {};
  const created: Record<string, object> = {
    KeyPair: { publicKey: `ssh-ed25519 AAAA${name}`, privateKey: "PRIVATE KEY" },
    ImageVolume: { devicePath: `/dev/vg/${name}`, volumeUuid: name, contentId: `content-${name}` },
    RandomToken: { value: name.includes("server") ? secrets.server : secrets.agent },
    K3sRollout: { kubeconfig: secrets.kubeconfig, members: [], timings: {} },
  };
  return created[kind] ?? {};
}

let runs = 0;

async function deploy(
  preview: boolean,
  changes: object = {},
  sections: object = {},
): Promise<MockedRun<Program>> {
  const all = Object.entries({ ...clusterSections(changes), ...sections });
  pulumi.runtime.setAllConfig(
    Object.fromEntries(all.map(([key, value]) => [key, JSON.stringify(value)])),
  );
  runs += 1;
  return runMocked(() => import(`../../index.ts?k3s=${String(runs)}`) as Promise<Program>, {
    preview,
    answer: (type, name) => answer(type, name),
  });
}

interface RolloutInputs {
  nodes: { name: string; role: string; machine: string; config: Record<string, unknown> }[];
  [key: string]: unknown;
}

const rolloutOf = (run: MockedRun<Program>): RolloutInputs =>
  run.one("K3sRollout").inputs as RolloutInputs;

describe("a k3s cluster", () => {
  let run: MockedRun<Program>;
  before(async () => {
    run = await deploy(false);
  });

  it("has its machines below it, and is told of them servers first", () => {
    const machines = run.resources.filter(({ type }) => type.endsWith("index:VirtualMachine"));
    assert.deepEqual(
      machines.map(({ name, parent }) => [name, parent]),
      [
        ["cp1", "kube"],
        ["kube-worker-01", "kube"],
        ["kube-worker-02", "kube"],
      ],
    );
    assert.deepEqual(
      rolloutOf(run).nodes.map(({ name, role }) => [name, role]),
      [
        ["cp1", "server"],
        ["kube-worker-01", "agent"],
        ["kube-worker-02", "agent"],
      ],
    );
  });

  it("does not wait until machines are ready, only until they were told to boot", () => {
    const { options } = run.one("K3sRollout");
    const waits = [options.dependsOn].flat() as { __pulumiType?: string }[];
    assert.ok(waits.every((each) => each.__pulumiType?.endsWith("K3sTurn") === true));
    assert.match(
      rolloutOf(run).nodes[0]?.machine ?? "",
      /^cp1-id [0-9a-f]{64} \S+ content-cp1-root$/,
    );
  });

  it("lets tokens and kubeconfig go nowhere but into secrets, and never into user-data", () => {
    for (const { type, name, inputs } of run.resources)
      for (const [key, value] of Object.entries(inputs))
        for (const secret of Object.values(secrets))
          if (JSON.stringify(value).includes(secret)) {
            assert.ok(isMarkedSecret(value), `${type} ${name}: ${key}`);
            assert.doesNotMatch(type, /CloudinitDisk/);
          }
  });

  it("gives the kubeconfig as a secret output, and addresses and nodes as plain ones", async () => {
    assert.equal(await pulumi.isSecret(run.result.kubeconfigs), true);
    assert.equal(await pulumi.isSecret(pulumi.output(run.result.clusters)), false);
    assert.equal(run.result.clusters["kube"]?.apiUrl, "https://192.168.150.20:6443");
  });

  it("has the machines say at first boot how their network came up", () => {
    const { userData } = run.one("CloudinitDisk", "cp1").inputs as { userData: { value: string } };
    assert.match(userData.value, /wait-for-network.*\n.*192\.168\.150\.20/);
  });

  it("counts the nodes among the machines that a hypervisor must hold, and that DNS knows", () => {
    const hosts = JSON.stringify(run.one("network:Network").inputs["dns"]);
    for (const name of ["cp1", "kube-worker-01", "kube-worker-02"])
      assert.match(hosts, new RegExp(name));
  });
});

describe("a change to a cluster", () => {
  /** What makes a machine's domain anew. */
  const seeds = (run: MockedRun<Program>): unknown[] =>
    run.resources
      .filter(({ type }) => type.endsWith("CloudinitDisk"))
      .map(({ inputs }) => inputs["name"]);

  it("of version, binary or options boots no machine anew", async () => {
    const before = await deploy(false);
    const after = await deploy(false, {
      version: "v1.34.4+k3s1",
      binary: { from: "image", sha256: "a".repeat(64) },
      ...{ disable: ["traefik"], tlsSans: ["k.example.org"], registries: { mirrors: {} } },
    });
    assert.deepEqual(seeds(after), seeds(before));
    assert.equal(rolloutOf(after)["version"], "v1.34.4+k3s1");
    assert.ok(isMarkedSecret(rolloutOf(after)["registries"]));
  });

  it("of the tokens' generation draws new ones, and boots no machine anew", async () => {
    const before = await deploy(false);
    const after = await deploy(false, { tokenGeneration: 1 });
    assert.deepEqual(seeds(after), seeds(before));
    const drawn = after.resources.filter(({ type }) => type.endsWith("RandomToken"));
    assert.deepEqual(
      drawn.map(({ name, inputs }) => [name, inputs["generation"]]),
      [
        ["kube-server-token", 1],
        ["kube-agent-token", 1],
      ],
    );
  });

  it("to three servers takes etcd", async () => {
    const run = await deploy(false, { servers: [serverPool(3)], agents: [] });
    assert.equal(rolloutOf(run)["datastore"], "etcd");
    assert.ok(rolloutOf(run).nodes.every(({ config }) => "etcd-snapshot-retention" in config));
  });
});

describe("machines that change in place", () => {
  const turns = (run: MockedRun<Program>, side: string): [string, unknown][] =>
    run.resources
      .filter(({ type, inputs }) => type.endsWith("K3sTurn") && inputs["side"] === side)
      .map(({ name, inputs }) => [name, inputs["trigger"]]);
  const dependencies = ({ options }: { options: { dependsOn?: unknown } }): unknown[] =>
    [options.dependsOn].flat().map((each) => (each as { __name?: string } | undefined)?.__name);

  it("have their turn for another disk, of which agents see those of servers, too", async () => {
    const run = await deploy(false);
    for (const name of ["cp1", "kube-worker-01"])
      assert.deepEqual(dependencies(run.one("ImageVolume", `${name}-root`)), [`${name}-leaves`]);
    const { disks } = run.one("K3sTurn", "kube-worker-01-leaves").inputs as {
      disks: Record<string, { image: { key: string }; generation: number }>;
    };
    assert.deepEqual(Object.keys(disks), ["cp1", "kube-worker-01"]);
    assert.equal(disks["cp1"]?.generation, 0);
    const settings = run.one("K3sTurn", "cp1-returns").inputs["settings"];
    assert.ok(isMarkedSecret(settings));
  });

  it("do so by turns: each leaves before its domain is made anew, and is back before the rollout", async () => {
    const run = await deploy(false);
    const names = ["cp1", "kube-worker-01", "kube-worker-02"];
    for (const name of names) {
      assert.deepEqual(dependencies(run.one("DomainShutdown", name)), [`${name}-leaves`]);
      assert.deepEqual(dependencies(run.one("domain:Domain", name)), [name]);
    }
    assert.deepEqual(
      dependencies(run.one("K3sRollout")),
      names.map((name) => `${name}-returns`),
    );
    const { nodes } = run.one("K3sTurn", "cp1-leaves").inputs as {
      nodes: { name: string; hostPublicKey: string }[];
    };
    assert.deepEqual(
      nodes.map(({ name, hostPublicKey }) => [name, hostPublicKey.slice(0, 16)]),
      names.map((name) => [name, "ssh-ed25519 AAAA"]),
    );
  });

  it("stand in rows, so that those who wait do not keep Pulumi from whoever has its turn", async () => {
    const agents = [{ ...serverPool(4, { name: "w", firstAddress: "192.168.150.40" }) }];
    const run = await deploy(false, { agents });
    const waits = ["cp1", "kube-w-01", "kube-w-02", "kube-w-03", "kube-w-04"].map((name) =>
      dependencies(run.one("K3sTurn", `${name}-leaves`)),
    );
    assert.deepEqual(waits, [
      ...[[undefined], [undefined]],
      ...[["cp1-leaves"], ["kube-w-01-leaves"], ["kube-w-02-leaves"]],
    ]);
  });

  it("have their turn for another size, those of that pool only", async () => {
    const before = turns(await deploy(false), "leaves");
    const larger = turns(await deploy(false, { servers: [serverPool(1, { vcpus: 4 })] }), "leaves");
    assert.deepEqual(
      before.map(([, trigger]) => (trigger as { vcpus: number }).vcpus),
      [2, 2, 2],
    );
    assert.equal((larger[0]?.[1] as { vcpus: number } | undefined)?.vcpus, 4);
    assert.deepEqual(larger.slice(1), before.slice(1));
  });

  it("have their turn for who may log in and how names are resolved, which boots them anew, too", async () => {
    const run = await deploy(false);
    const sides = ["leaves", "returns"];
    const before = sides.flatMap((side) => turns(run, side));
    const networks = clusterSections()["groundwork:networks"] as object[];
    const ssh = { authorizedKeys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAbc me"] };
    for (const change of [
      { "groundwork:ssh": ssh },
      { "groundwork:networks": networks.map((each) => ({ ...each, nameservers: ["192.0.2.53"] })) },
    ]) {
      const anew = await deploy(false, {}, change);
      const after = sides.flatMap((side) => turns(anew, side));
      assert.equal(after.length, before.length);
      for (const [index, [name, trigger]] of after.entries())
        assert.notDeepEqual([name, trigger], before[index]);
    }
  });

  it("all change at once where that is wished", async () => {
    const run = await deploy(false, { upgrade: { nodeByNode: false } });
    assert.deepEqual(turns(run, "leaves"), []);
    assert.deepEqual(dependencies(run.one("DomainShutdown", "cp1")), [undefined]);
  });
});

describe("a cluster whose snapshots are copied", () => {
  it("has the place, and the key to it, as a secret and nowhere else", async () => {
    const endpoint = "https://s3.example.org";
    const store = { endpoint, accessKey: "who", secretKey: "key-of-the-store" };
    const run = await deploy(false, {
      ...{ servers: [serverPool(3)], agents: [], snapshots: { store } },
    });
    const { snapshotStore } = rolloutOf(run);
    assert.ok(isMarkedSecret(snapshotStore));
    for (const { type, inputs } of run.resources)
      for (const [key, value] of Object.entries(inputs))
        if (JSON.stringify(value).includes(store.secretKey))
          assert.ok(isMarkedSecret(value) && type.includes("K3s"), `${type}: ${key}`);
  });
});

describe("a k3s cluster in preview", () => {
  it("knows its nodes and their configuration before anything is made", async () => {
    const { nodes } = rolloutOf(await deploy(true));
    assert.deepEqual(
      nodes.map(({ config }) => config["node-ip"]),
      [...["192.168.150.20", "192.168.150.30", "192.168.150.31"]],
    );
  });
});

import assert from "node:assert/strict";
import {
  exportSchema,
  type Lock,
  parseLock,
  planLocks,
  planOrphans,
  planPending,
  type Process,
} from "../../../scripts/lib/recover-plan.ts";

const pulumi = "/cache/pulumi/versions/3.259.0/bin/pulumi";
const launcher = "/cache/pulumi/versions/3.259.0/bin/pulumi-resource-pulumi-nodejs";
const dynamic = "/lab/node_modules/@pulumi/pulumi/cmd/dynamic-provider/index.js";

function lock(pid: number, hostname = "here"): Lock {
  return { file: `/locks/${String(pid)}.json`, pid, hostname, timestamp: "2026-11-21T13:23:15Z" };
}

describe("parseLock", () => {
  it("reads what Pulumi writes", () => {
    const text = `{"pid":29872,"username":"root","hostname":"vm","timestamp":"2026-11-21T13:23:15.7Z"}`;
    assert.deepEqual(parseLock("/locks/a.json", text), {
      file: "/locks/a.json",
      pid: 29872,
      hostname: "vm",
      timestamp: "2026-11-21T13:23:15.7Z",
    });
  });

  it("gives nothing for a file that is half written", () => {
    assert.equal(parseLock("/locks/a.json", `{"pid":29`), undefined);
    assert.equal(parseLock("/locks/a.json", "{}"), undefined);
  });
});

describe("planLocks", () => {
  const running: Process[] = [
    { pid: 10, parent: 1, command: [pulumi, "up"] },
    { pid: 11, parent: 1, command: ["sleep", "100"] },
  ];

  it("holds the lock of a Pulumi that runs", () => {
    assert.deepEqual(planLocks([lock(10)], running, "here"), { stale: [], held: [lock(10)] });
  });

  it("drops the lock of a process that is gone, or whose number another program has now", () => {
    const { stale, held } = planLocks([lock(9), lock(11)], running, "here");
    assert.deepEqual(stale, [lock(9), lock(11)]);
    assert.deepEqual(held, []);
  });

  it("never touches the lock of another host", () => {
    assert.deepEqual(planLocks([lock(9, "there")], running, "here").stale, []);
  });
});

describe("planOrphans", () => {
  const home = "/lab/.groundwork";

  it("finds plugins whose Pulumi is gone, below their launcher too", () => {
    const processes: Process[] = [
      { pid: 20, parent: 1, command: ["/bin/sh", launcher, "127.0.0.1:1"], home },
      { pid: 21, parent: 20, command: ["node", dynamic, "127.0.0.1:1"], home },
      { pid: 22, parent: 1, command: ["/p/pulumi-resource-terraform-provider", "x"], home },
      { pid: 23, parent: 22, command: ["/p/terraform-provider-libvirt_v0.8.3"], home },
    ];
    assert.deepEqual(planOrphans(processes, home), [20, 21, 22, 23]);
  });

  it("leaves alone what works for a Pulumi that runs", () => {
    const processes: Process[] = [
      { pid: 10, parent: 1, command: [pulumi, "up"], home },
      { pid: 20, parent: 10, command: ["/bin/sh", launcher], home },
      { pid: 21, parent: 20, command: ["node", dynamic], home },
    ];
    assert.deepEqual(planOrphans(processes, home), []);
  });

  it("leaves alone other checkouts' plugins, and processes that only carry our environment", () => {
    const processes: Process[] = [
      { pid: 20, parent: 1, command: ["/bin/sh", launcher], home: "/other/.groundwork" },
      { pid: 21, parent: 1, command: ["node", dynamic] },
      { pid: 22, parent: 1, command: ["/usr/sbin/libvirtd", "-d"], home },
      { pid: 23, parent: 1, command: ["vi", "notes"], home },
    ];
    assert.deepEqual(planOrphans(processes, home), []);
  });

  it("ends on a parent that names itself", () => {
    const processes: Process[] = [{ pid: 20, parent: 20, command: ["sh", launcher], home }];
    assert.deepEqual(planOrphans(processes, home), [20]);
  });
});

const provider = {
  urn: "urn:pulumi:local::groundwork::pulumi:providers:libvirt::local",
  type: "pulumi:providers:libvirt",
  id: "0f1f",
  inputs: { uri: "qemu+unix:///system?socket=/run/groundwork/lab/libvirt-sock" },
};
const pool = {
  urn: "urn:pulumi:local::groundwork::libvirt:index/pool:Pool::local",
  type: "libvirt:index/pool:Pool",
  inputs: { name: "groundwork-local" },
};
const domain = {
  urn: "urn:pulumi:local::groundwork::libvirt:index/domain:Domain::vm1",
  type: "libvirt:index/domain:Domain",
  provider: `${provider.urn}::${provider.id}`,
  inputs: {
    name: "vm1",
    disks: [{ blockDevice: "/dev/groundwork/vm1-root" }, { volumeId: "seed" }],
    networkInterfaces: [{ mac: "52:54:00:AA:bb:01" }],
  },
};

function exported(resources: object[], pending: { resource: object; type: string }[]) {
  return exportSchema.parse({
    version: 3,
    deployment: { manifest: { magic: "x" }, resources, pending_operations: pending },
  });
}

describe("planPending", () => {
  it("has nothing to do when nothing is pending", () => {
    assert.equal(planPending(exported([provider], [])), undefined);
    assert.equal(planPending(exportSchema.parse({ version: 3, deployment: {} })), undefined);
  });

  it("looks for a domain by its name, disks and addresses, on its own hypervisor", () => {
    const plan = planPending(exported([provider], [{ resource: domain, type: "creating" }]));
    assert.deepEqual(plan?.leftovers, [
      {
        kind: "domain",
        name: "vm1",
        uri: provider.inputs.uri,
        evidence: ["dev='/dev/groundwork/vm1-root'", "<mac address='52:54:00:aa:bb:01'/>"],
      },
    ]);
    assert.deepEqual(plan.refresh, []);
  });

  it("leaves an object alone that the state knows by the same name", () => {
    const plan = planPending(
      exported([provider, domain], [{ resource: domain, type: "creating" }]),
    );
    assert.deepEqual(plan?.leftovers, []);
  });

  it("removes a volume only from a pool that is ours, and before the pool", () => {
    const seed = {
      urn: "urn:pulumi:local::groundwork::libvirt:index/cloudinitDisk:CloudinitDisk::vm1",
      type: "libvirt:index/cloudinitDisk:CloudinitDisk",
      inputs: { name: "vm1-seed.iso", pool: "groundwork-local" },
    };
    const pending = [{ resource: seed, type: "creating" }];
    assert.deepEqual(planPending(exported([], pending))?.leftovers, []);
    assert.deepEqual(planPending(exported([pool], pending))?.leftovers, [
      {
        kind: "volume",
        name: "vm1-seed.iso",
        pool: "groundwork-local",
        evidence: ["<name>vm1-seed.iso</name>"],
      },
    ]);
  });

  it("sorts what is found so that users go before what they use", () => {
    const lonelyPool = { ...pool, inputs: { name: "p", target: { path: "/pools/p" } } };
    const plan = planPending(
      exported(
        [],
        [
          { resource: lonelyPool, type: "creating" },
          { resource: domain, type: "creating" },
        ],
      ),
    );
    assert.deepEqual(
      plan?.leftovers.map(({ kind }) => kind),
      ["domain", "pool"],
    );
  });

  it("asks anew about what was being changed, once for each resource", () => {
    const plan = planPending(
      exported(
        [domain],
        [
          { resource: domain, type: "updating" },
          { resource: domain, type: "deleting" },
          { resource: pool, type: "deleting" },
        ],
      ),
    );
    assert.deepEqual(plan?.refresh, [domain.urn]);
    assert.deepEqual(plan.leftovers, []);
  });

  it("forgets the operations and keeps everything else of the deployment", () => {
    const before = exported([provider], [{ resource: domain, type: "creating" }]);
    const plan = planPending(before);
    assert.deepEqual(plan?.cleaned, {
      ...before,
      deployment: { ...before.deployment, pending_operations: [] },
    });
  });
});

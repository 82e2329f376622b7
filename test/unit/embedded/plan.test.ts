import assert from "node:assert/strict";
import fc from "fast-check";
import type {
  HypervisorObserved,
  ObjectStoreObserved,
  Observed,
  VolumeGroupObserved,
} from "../../../embedded/core/observed.ts";
import { factsOf, planEmbedded } from "../../../embedded/core/plan.ts";
import { after, bare, furnished, GiB, loop, options, proc, running, without } from "./world.ts";

interface Changes {
  machine?: Partial<Observed["machine"]>;
  hypervisor?: Partial<HypervisorObserved>;
  volumeGroup?: Partial<VolumeGroupObserved>;
  objectStore?: Partial<ObjectStoreObserved>;
}

const change = (world: Observed, changes: Changes): Observed => ({
  machine: { ...world.machine, ...changes.machine },
  hypervisor: { ...world.hypervisor, ...changes.hypervisor },
  volumeGroup: { ...world.volumeGroup, ...changes.volumeGroup },
  objectStore: { ...world.objectStore, ...changes.objectStore },
});

const stepsOf = (world: Observed): string[] => {
  const plan = planEmbedded(options, world);
  assert.deepEqual(plan.refusals, []);
  return plan.steps.map((step) => step.do);
};

const codesOf = (world: Observed): string[] =>
  planEmbedded(options, world).refusals.map((refusal) => refusal.code);

const daemon = (name: string) => (one: { daemon?: string }) => one.daemon === name;

describe("planEmbedded", () => {
  it("starts everything on a bare machine", () => {
    assert.deepEqual(stepsOf(bare), [
      "prepareLibvirt",
      "makeNamespace",
      "startDaemon",
      "startDaemon",
      "awaitLibvirt",
      "makeVolumeFile",
      "attachVolumeFile",
      "makeCredentials",
      "startObjectStore",
    ]);
  });

  it("does nothing where everything runs already", () => {
    assert.deepEqual(stepsOf(running), []);
  });

  it("uses what is there, and starts nothing beside it", () => {
    assert.deepEqual(stepsOf(furnished), []);
  });

  it("decides each part by itself", () => {
    const world = change(furnished, { volumeGroup: { group: undefined } as never });
    assert.deepEqual(stepsOf(world), ["makeVolumeFile", "attachVolumeFile"]);
  });

  it("names the tools that its steps would miss, and no others", () => {
    const world = change(furnished, {
      machine: { missingTools: ["libvirtd", "minio"] },
      objectStore: { answer: { state: "silent" } },
    });
    const [refusal] = planEmbedded(options, world).refusals;
    assert.equal(refusal?.code, "tool-missing");
    assert.match(refusal.message, /without minio\./);
  });

  it("lists the reasons of all parts at once", () => {
    const world = change(bare, {
      hypervisor: { otherOwner: "/srv/other" },
      volumeGroup: { freeBytes: GiB },
      objectStore: { loopback: false },
    });
    assert.deepEqual(codesOf(world), [
      "embedded-name-taken",
      "disk-full",
      "object-store-unreachable",
    ]);
  });
});

describe("planEmbedded for the hypervisor", () => {
  const { processes } = running.hypervisor;

  it("starts only the daemon that was killed", () => {
    const killed = processes.filter((one) => !daemon("libvirtd")(one));
    const silent = without(running.hypervisor, "activeNetworks");
    const plan = planEmbedded(options, {
      ...running,
      hypervisor: { ...silent, processes: killed },
    });
    assert.deepEqual(plan.steps, [
      { part: "hypervisor", do: "startDaemon", daemon: "libvirtd" },
      { part: "hypervisor", do: "awaitLibvirt" },
    ]);
  });

  it("keeps the guests when only the namespace lost its name", () => {
    const world = change(running, { hypervisor: { namespace: { state: "stale" } } });
    assert.deepEqual(stepsOf(world), ["adoptNamespace"]);
  });

  it("ends what lives in a namespace that was replaced", () => {
    const world = change(running, { hypervisor: { namespace: { state: "present", inode: 99 } } });
    assert.deepEqual(stepsOf(world), [
      "endProcesses",
      "startDaemon",
      "startDaemon",
      "awaitLibvirt",
    ]);
  });

  it("starts afresh when its folder was removed beneath it", () => {
    const world = change(running, { hypervisor: { folders: "absent" } });
    const [first] = planEmbedded(options, world).steps;
    assert.ok(first?.do === "endProcesses" && first.processes.length === processes.length);
    assert.deepEqual(stepsOf(world).slice(1), [
      "prepareLibvirt",
      "startDaemon",
      "startDaemon",
      "awaitLibvirt",
    ]);
  });

  it("starts the default network when it is the only thing missing", () => {
    assert.deepEqual(stepsOf(change(running, { hypervisor: { activeNetworks: ["lab"] } })), [
      "startNetwork",
    ]);
  });

  it("stays with our own when a system libvirt appears later", () => {
    const world = change(running, { hypervisor: { system: { state: "answers" } } });
    assert.equal(factsOf(options, world, "/c").hypervisor.kind, "embedded");
  });

  const refusals: [string, Changes, string][] = [
    [
      "a system libvirt that does not let us in",
      { hypervisor: { system: { state: "unclear", reason: "authentication failed" } } },
      "system-hypervisor-unclear",
    ],
    [
      "a system libvirt that we used and that is gone",
      { machine: { facts: factsOf(options, furnished, "/c") } },
      "system-hypervisor-gone",
    ],
    [
      "a name of another checkout",
      { hypervisor: { otherOwner: "/srv/other" } },
      "embedded-name-taken",
    ],
    [
      "another name than the one that this home's daemons run under",
      {
        hypervisor: { processes, folders: "ready", otherName: "first" },
      },
      "embedded-name-differs",
    ],
    [
      "a namespace that somebody else made",
      { hypervisor: { namespace: { state: "present", inode: 5 } } },
      "network-namespace-taken",
    ],
  ];
  for (const [what, changes, code] of refusals)
    it(`refuses ${what}`, () => {
      assert.equal(codesOf(change(bare, changes))[0], code);
    });
});

describe("planEmbedded for the volume group", () => {
  const group = running.volumeGroup;
  const detached = { loops: [], ownGroups: [] };
  const unattached: Partial<VolumeGroupObserved> = { ...detached, group: undefined } as never;

  it("attaches its file again after a restart of the machine, and then activates the volumes", () => {
    assert.deepEqual(stepsOf(change(running, { volumeGroup: unattached })), ["attachVolumeFile"]);
    const inactiveVolumes = ["vm1-root"];
    assert.deepEqual(stepsOf(change(running, { volumeGroup: { inactiveVolumes } })), [
      "activateVolumes",
    ]);
  });

  it("goes on where a run ended between attaching the file and making the group", () => {
    const half = { ...without(group, "group"), ownGroups: [] };
    assert.deepEqual(stepsOf({ ...running, volumeGroup: half }), ["makeVolumeGroup"]);
  });

  it("grows when the configuration says more, and never shrinks", () => {
    assert.deepEqual(stepsOf(change(running, { volumeGroup: { fileBytes: 20 * GiB } })), [
      "growVolumeFile",
    ]);
    const larger = { fileBytes: 80 * GiB, groupBytes: 80 * GiB };
    assert.deepEqual(stepsOf(change(running, { volumeGroup: larger })), []);
  });

  for (const [what, fileBytes] of [
    ["as it is to be", 40 * GiB],
    ["larger", 80 * GiB],
  ] as const)
    it(`grows the group in a file that is ${what} already, and never cuts the file`, () => {
      const world = change(running, { volumeGroup: { fileBytes, groupBytes: 20 * GiB } });
      const { steps } = planEmbedded(options, world);
      assert.deepEqual(steps, [
        { part: "volumeGroup", do: "growVolumeFile", bytes: fileBytes, loop: "/dev/loop0" },
      ]);
      assert.deepEqual(stepsOf(steps.reduce(after, world)), []);
    });

  it("lets go of a file that was removed while it was attached", () => {
    const removed = without(group, "fileBytes");
    const loops = [loop({ deleted: true }), loop({ name: "/dev/loop1", deleted: true, offset: 9 })];
    const world = { ...running, volumeGroup: { ...removed, loops } };
    const steps = ["removeVolumeGroup", "detachLoops", "makeVolumeFile", "attachVolumeFile"];
    assert.deepEqual(stepsOf(world), steps);
    const guests = change(world, { hypervisor: { folders: "absent" } });
    const parts = planEmbedded(options, guests).steps.map(({ part }) => part);
    assert.deepEqual([...new Set(parts)], ["hypervisor"], "guests end before their volumes go");
  });

  it("takes a small file where only little is asked for", () => {
    const world = change(bare, { volumeGroup: { freeBytes: 2 * GiB } });
    const plan = planEmbedded({ ...options, volumeGroupSizeGiB: 1 }, world);
    assert.deepEqual(plan.refusals, []);
  });

  const elsewhere = { physicalVolumes: ["/dev/sda2"], tags: [] };
  const refusals: [string, Observed, Changes, string][] = [
    ["a full disk", bare, { volumeGroup: { freeBytes: 3 * GiB } }, "disk-full"],
    [
      "a second group of the same name beside ours",
      running,
      { volumeGroup: { ...detached, group: elsewhere } },
      "volume-group-name-taken",
    ],
    [
      "another name than the group in our file has",
      running,
      {
        volumeGroup: {
          ownGroups: [{ name: "earlier", loop: "/dev/loop0" }],
          group: undefined,
        } as never,
      },
      "volume-group-renamed",
    ],
    [
      "the group of another checkout",
      bare,
      {
        volumeGroup: {
          group: { physicalVolumes: ["/dev/loop3"], tags: ["groundwork"] },
          otherFile: "/srv/other/volumes.img",
        },
      },
      "volume-group-of-another-home",
    ],
    [
      "a name such as disk",
      bare,
      { volumeGroup: { devicePathTaken: true } },
      "volume-group-path-taken",
    ],
  ];
  for (const [what, world, changes, code] of refusals)
    it(`refuses ${what}`, () => {
      assert.deepEqual(codesOf(change(world, changes)), [code]);
    });

  it("refuses when a group that was there before us is gone", () => {
    const facts = factsOf(options, furnished, "/c");
    const world = change(furnished, {
      machine: { facts },
      volumeGroup: { group: undefined } as never,
    });
    assert.deepEqual(codesOf(world), ["volume-group-gone"]);
  });
});

describe("planEmbedded for the object store", () => {
  const denied = { state: "denied", reason: "AccessDenied" } as const;
  const other = { state: "other", reason: "it answers HTTP 404, not S3" } as const;

  it("makes the bucket, also in a store that was there", () => {
    const objectStore = { answer: { state: "ready", bucket: false } } as const;
    assert.deepEqual(stepsOf(change(furnished, { objectStore })), ["makeBucket"]);
  });

  it("makes new credentials for a server of ours whose file was lost, and keeps its data", () => {
    const objectStore = { answer: denied, credentials: false };
    assert.deepEqual(stepsOf(change(running, { objectStore })), [
      "endProcesses",
      "makeCredentials",
      "startObjectStore",
    ]);
  });

  it("starts a server of ours anew when the endpoint changed", () => {
    assert.deepEqual(stepsOf(change(running, { objectStore: { answer: { state: "silent" } } })), [
      "endProcesses",
      "startObjectStore",
    ]);
  });

  it("starts a server of ours anew when its folder was removed beneath it", () => {
    const objectStore = { folder: false, credentials: false };
    assert.deepEqual(stepsOf(change(running, { objectStore })), [
      "endProcesses",
      "makeCredentials",
      "startObjectStore",
    ]);
  });

  it("names who holds the port", () => {
    const objectStore = { answer: other, portHolder: "nginx (pid 12)" };
    const [refusal] = planEmbedded(options, change(bare, { objectStore })).refusals;
    assert.equal(refusal?.code, "object-store-port-taken");
    assert.match(refusal.message, /Port 9000 is taken by nginx \(pid 12\)/);
    assert.match(refusal.next, /groundwork:objectStore endpoint/);
  });

  it("tells a store that refuses us from one that is none", () => {
    assert.deepEqual(codesOf(change(bare, { objectStore: { answer: denied } })), [
      "object-store-denied",
    ]);
  });

  it("never starts a store on another machine, nor one that must speak TLS", () => {
    assert.deepEqual(codesOf(change(bare, { objectStore: { loopback: false } })), [
      "object-store-unreachable",
    ]);
    const objectStore = { ...options.objectStore, endpoint: "https://127.0.0.1:9000" };
    const [refusal] = planEmbedded({ ...options, objectStore }, bare).refusals;
    assert.equal(refusal?.code, "object-store-unreachable");
  });

  it("refuses when a store that was there before us is gone", () => {
    const facts = factsOf(options, furnished, "/c");
    const world = change(furnished, {
      machine: { facts },
      objectStore: { answer: { state: "silent" } },
    });
    assert.deepEqual(codesOf(world), ["object-store-gone"]);
  });
});

describe("repeating planEmbedded", () => {
  const networks = fc.option(fc.subarray(["default", "lab"]), { nil: undefined });
  const hypervisor: fc.Arbitrary<HypervisorObserved> = fc
    .record({
      system: fc.constantFrom({ state: "answers" } as const, { state: "absent" } as const),
      folders: fc.constantFrom("absent", "outdated", "ready"),
      namespace: fc.constantFrom(
        { state: "absent" } as const,
        { state: "stale" } as const,
        { state: "present", inode: 7 } as const,
      ),
      owned: fc.boolean(),
      processes: fc
        .subarray([proc(1, "virtlogd"), proc(2, "libvirtd"), proc(3), proc(4, "virtlogd", 6)])
        .map((found) =>
          found.some((one) => one.pid === 1) ? found.filter((one) => one.pid !== 4) : found,
        ),
      activeNetworks: networks,
    })
    .map(({ activeNetworks, ...seen }) => ({
      ...seen,
      ...(activeNetworks !== undefined &&
        seen.processes.some(daemon("libvirtd")) && { activeNetworks }),
    }));
  const file = fc.constantFrom(0, 20 * GiB, 40 * GiB, 80 * GiB);
  const volumeGroup: fc.Arbitrary<VolumeGroupObserved> = fc
    .record({
      fileBytes: fc.option(file, { nil: undefined }),
      attached: fc.constantFrom("no", "whole", "deleted"),
      grouped: fc.boolean(),
      groupBytes: fc.constantFrom(20 * GiB, 40 * GiB),
      inactiveVolumes: fc.subarray(["vm1-root"]),
    })
    .map(({ fileBytes, attached, grouped, groupBytes, inactiveVolumes }) => {
      const held = attached === "deleted" || (attached === "whole" && fileBytes !== undefined);
      return {
        ...bare.volumeGroup,
        ...(fileBytes !== undefined && { fileBytes }),
        loops: held ? [loop({ deleted: attached === "deleted" })] : [],
        ...(held &&
          grouped && {
            group: { physicalVolumes: ["/dev/loop0"], tags: ["groundwork"] },
            ownGroups: [{ name: options.volumeGroup, loop: "/dev/loop0" }],
            ...(attached === "whole" && { groupBytes }),
          }),
        inactiveVolumes: held && grouped ? inactiveVolumes : [],
      };
    });
  const objectStore: fc.Arbitrary<ObjectStoreObserved> = fc.record({
    loopback: fc.constant(true),
    port: fc.constant(9000),
    answer: fc.constantFrom(
      { state: "silent" } as const,
      { state: "denied", reason: "AccessDenied" } as const,
      { state: "ready", bucket: false } as const,
    ),
    credentials: fc.boolean(),
    processes: fc.subarray([proc(9, "minio", 1)]),
    folder: fc.boolean(),
  });
  const worlds: fc.Arbitrary<Observed> = fc.record({
    machine: fc.constant(bare.machine),
    hypervisor,
    volumeGroup,
    objectStore,
  });

  it("comes to an end from any half-made state, unless it says why not at once", () => {
    fc.assert(
      fc.property(worlds, (found) => {
        if (planEmbedded(options, found).refusals.length > 0) return;
        let world = found;
        for (let round = 0; round < 5; round += 1) {
          const { steps, refusals } = planEmbedded(options, world);
          assert.deepEqual(refusals, []);
          if (steps.length === 0) return;
          world = steps.reduce(after, world);
        }
        assert.deepEqual(planEmbedded(options, world).steps, []);
      }),
      { numRuns: 2000 },
    );
  });

  it("comes to an end when a run is cut off after any step", () => {
    for (let cut = 1; cut < 9; cut += 1) {
      let world = planEmbedded(options, bare).steps.slice(0, cut).reduce(after, bare);
      for (let round = 0; round < 5; round += 1)
        world = planEmbedded(options, world).steps.reduce(after, world);
      assert.deepEqual(stepsOf(world), [], `cut off after step ${String(cut)}`);
    }
  });
});

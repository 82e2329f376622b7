import * as assert from "node:assert/strict";
import * as fc from "fast-check";
import { buildTags, parseTags } from "../../../../providers/image-volume/core/layout.ts";
import type { ObservedVolume } from "../../../../providers/image-volume/core/parsers.ts";
import {
  buildSnapshotTags,
  consistencyPrefix,
} from "../../../../providers/image-volume/core/snapshot-tags.ts";
import {
  planCreate,
  type SnapshotWish,
} from "../../../../providers/volume-snapshot/core/create-plan.ts";
import {
  isRevertUnderWay,
  planRevert,
  type RevertPhase,
} from "../../../../providers/volume-snapshot/core/revert-plan.ts";
import {
  listSnapshots,
  type MachineVolumes,
} from "../../../../providers/volume-snapshot/core/snapshots.ts";

const owner = "groundwork/lab";
const gib = 2 ** 30;
const machine: MachineVolumes = {
  ...{ machine: "vm1", owner },
  volumes: ["vm1-root", "vm1-data"].map((volumeName) => ({
    ...{ volumeGroup: "vg", volumeName, wipe: "zero" as const },
  })),
};
const reference = "before:1000";

function volume(tags: readonly string[], more: Partial<ObservedVolume> = {}): ObservedVolume {
  return {
    ...{ uuid: "u", sizeBytes: gib, segmentType: "linear", users: [] },
    ...{ tags: [...tags], marks: parseTags(tags) },
    ...more,
  };
}
const ready = buildTags({ owner, state: "populated", writes: 1 });
const snapshotTags = (origin: string, name = "before"): string[] => [
  ...ready,
  ...buildSnapshotTags({
    ...{ name, machine: "vm1", origin, takenAtSeconds: 1000, parts: 2, description: "" },
  }),
  `${consistencyPrefix}off`,
];
type Volumes = Map<string, ObservedVolume>;
const twoVolumes = (): Volumes =>
  new Map([
    ["vg/vm1-root", volume(ready)],
    ["vg/vm1-data", volume(ready)],
  ]);
const withSnapshot = (): Volumes =>
  new Map([
    ...twoVolumes(),
    ["vg/vm1-root.snap-before", volume(snapshotTags("vm1-root"))],
    ["vg/vm1-data.snap-before", volume(snapshotTags("vm1-data"))],
  ]);
const hostWith = (volumes: Volumes, freeBytes = 10 * gib) => ({
  ...{ volumes, pools: [] },
  groups: new Map([["vg", { extentBytes: 4 * 2 ** 20, freeBytes }]]),
});
const wish: SnapshotWish = { name: "before", description: "", hold: "pause", nowSeconds: 1000 };

describe("planCreate", () => {
  const running = { users: [{ pid: 1, command: "qemu", domain: "vm1" }] };
  const thin = { segmentType: "thin", pool: "pool" };

  it("copies thick volumes and clones thin ones", () => {
    const volumes = twoVolumes().set("vg/vm1-data", volume(ready, thin));
    const plan = planCreate(machine, wish, hostWith(volumes));
    assert.ok(plan.kind === "create");
    assert.deepEqual(
      plan.sources.map(({ target, how }) => [target, how]),
      [
        ["vm1-root.snap-before", "copy"],
        ["vm1-data.snap-before", "clone"],
      ],
    );
  });

  const refusals: [string, string, Partial<SnapshotWish>, () => ReturnType<typeof hostWith>][] = [
    ["a name that is no name", "bad-snapshot-name", { name: "Über" }, () => hostWith(twoVolumes())],
    [
      "a name of 31 characters",
      "bad-snapshot-name",
      { name: "a".repeat(31) },
      () => hostWith(twoVolumes()),
    ],
    [
      "two lines",
      "bad-snapshot-description",
      { description: "a\nb" },
      () => hostWith(twoVolumes()),
    ],
    [
      "too long a text",
      "bad-snapshot-description",
      { description: "é".repeat(190) },
      () => hostWith(twoVolumes()),
    ],
    ["a missing volume", "volume-missing", {}, () => hostWith(new Map())],
    [
      "a volume of another stack",
      "volume-not-ours",
      {},
      () =>
        hostWith(twoVolumes().set("vg/vm1-data", volume(buildTags({ owner: "groundwork/other" })))),
    ],
    [
      "a volume that is being written",
      "volume-unfinished",
      {},
      () => hostWith(twoVolumes().set("vg/vm1-data", volume(buildTags({ owner })))),
    ],
    [
      "a revert under way",
      "volume-reverting",
      {},
      () =>
        hostWith(
          twoVolumes().set("vg/vm1-data", volume([...ready, ...buildTags({ reverting: "x:1" })])),
        ),
    ],
    ["a name that is taken", "snapshot-exists", {}, () => hostWith(withSnapshot())],
    ["too little room", "volume-group-full", {}, () => hostWith(twoVolumes(), 1.5 * gib)],
    [
      "a foreign volume of that name",
      "volume-not-ours",
      {},
      () => hostWith(twoVolumes().set("vg/vm1-root.snap-before", volume([]))),
    ],
    [
      "copying what runs",
      "snapshot-live-refused",
      { hold: "live" },
      () => hostWith(twoVolumes().set("vg/vm1-root", volume(ready, running))),
    ],
  ];
  for (const [what, code, more, host] of refusals)
    it(`refuses ${what}`, () => {
      const plan = planCreate(machine, { ...wish, ...more }, host());
      assert.equal(plan.kind === "refusal" ? plan.code : plan.kind, code);
    });

  it("takes a single thin volume while its machine writes, and counts what an interrupted one frees", () => {
    const single = { ...machine, volumes: machine.volumes.slice(0, 1) };
    const volumes = new Map([["vg/vm1-root", volume(ready, { ...thin, ...running })]]);
    assert.equal(
      planCreate(single, { ...wish, hold: "live" }, hostWith(volumes, 0)).kind,
      "create",
    );
    const half = twoVolumes().set(
      "vg/vm1-root.snap-before",
      volume(snapshotTags("vm1-root").filter((tag) => !tag.includes("state"))),
    );
    const plan = planCreate(machine, wish, hostWith(half, gib));
    assert.ok(plan.kind === "create", JSON.stringify(plan));
    assert.deepEqual(
      plan.remove.map(({ volumeName }) => volumeName),
      ["vm1-root.snap-before"],
    );
  });
});

/** What a script does to the volumes, one change a time; each may be the last one. */
function* changes(phase: RevertPhase, volumes: Volumes): Generator<void> {
  const get = (id: string): ObservedVolume => volumes.get(id) ?? assert.fail(`${id} is gone`);
  const retag = (id: string, change: (tags: string[]) => string[]): void => {
    volumes.set(id, volume(change(get(id).tags), { uuid: get(id).uuid }));
  };
  const rename = (from: string, to: string): void => {
    if (!volumes.has(from)) return;
    assert.ok(!volumes.has(to), `${to} is there already`);
    volumes.set(to, get(from));
    volumes.delete(from);
  };
  if (phase.kind === "remove") {
    volumes.delete(`${phase.volumeGroup}/${phase.volumeName}`);
    yield;
  } else if (phase.kind === "prepare") {
    const id = `vg/${phase.reverted.volumeName}.next`;
    assert.ok(!volumes.has(id));
    const tags = buildTags({ role: "next", owner, reverting: phase.reference });
    volumes.set(id, volume(tags, { uuid: "snapshot" }));
    yield;
    retag(id, (old) => [...old, ...buildTags({ state: "populated", writes: 1 })]);
    yield;
  } else if (phase.kind === "switch") {
    const left = phase.all.filter(({ stage }) => stage !== "switched");
    for (const { volumeName, seen } of left)
      if (seen) {
        retag(`vg/${volumeName}`, (old) => [
          ...new Set([...old, ...buildTags({ reverting: reference })]),
        ]);
        yield;
      }
    for (const { volumeName, seen } of left) {
      const id = `vg/${volumeName}`;
      if (seen) {
        retag(id, (old) => [...new Set([...old, "groundwork.role=aside"])]);
        yield;
        rename(id, `${id}.aside`);
        yield;
      }
      rename(`${id}.next`, id);
      yield;
      retag(id, (old) => old.filter((tag) => !tag.includes("role=next")));
      yield;
    }
  } else
    for (const { volumeName } of phase.all) {
      retag(`vg/${volumeName}`, (old) => old.filter((tag) => !/role=next|reverting/.test(tag)));
      yield;
    }
}

describe("planRevert", () => {
  const plan = (volumes: Volumes, stop = false) => {
    const [snapshot] = listSnapshots(volumes, owner);
    assert.ok(snapshot?.whole);
    return planRevert(machine, snapshot, { name: "before", stop }, hostWith(volumes));
  };
  /** Runs until it is done or has made so many changes; says whether it was done. */
  const run = (volumes: Volumes, budget: number): boolean => {
    let left = budget;
    for (let round = 0; round < 30; round += 1) {
      const phase = plan(volumes);
      if (phase.kind === "refusal") assert.fail(phase.reason);
      const all = changes(phase, volumes);
      for (;;) {
        if (left <= 0) return false;
        if (all.next().done === true) break;
        left -= 1;
      }
      if (phase.kind !== "finish") continue;
      for (const { volumeName } of phase.all) {
        volumes.delete(`vg/${volumeName}.aside`);
        if ((left -= 1) <= 0) return false;
      }
      return true;
    }
    return assert.fail("it goes on for ever");
  };

  it("comes to the same end wherever and how often it is interrupted", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(24), { maxLength: 5 }), (budgets) => {
        const volumes = withSnapshot();
        for (const budget of budgets) run(volumes, budget);
        assert.ok(run(volumes, Infinity));
        assert.deepEqual([...volumes.keys()].sort(), [...withSnapshot().keys()].sort());
        for (const { volumeName } of machine.volumes) {
          const { uuid, tags } = volumes.get(`vg/${volumeName}`) ?? assert.fail();
          assert.deepEqual([uuid, [...tags].sort()], ["snapshot", [...ready].sort()]);
        }
      }),
    );
  });

  it("asks before it stops a machine, and never ends another process", () => {
    const used = (domain?: string): Volumes =>
      withSnapshot().set(
        "vg/vm1-root",
        volume(ready, { users: [{ pid: 7, command: "x", ...(domain && { domain }) }] }),
      );
    const codeOf = (phase: ReturnType<typeof plan>): string =>
      phase.kind === "refusal" ? phase.code : phase.kind;
    assert.equal(codeOf(plan(used("vm1"))), "machine-in-use");
    assert.equal(codeOf(plan(used("vm1"), true)), "prepare");
    assert.equal(codeOf(plan(used(), true)), "machine-in-use");
  });

  it("tells, once a volume is touched, that the snapshot is needed", () => {
    const underWay = (volumes: Volumes): boolean => {
      const [snapshot] = listSnapshots(volumes, owner);
      return isRevertUnderWay(snapshot ?? assert.fail(), volumes);
    };
    const begun = volume([...ready, ...buildTags({ reverting: reference })]);
    const next = volume(buildTags({ role: "next", owner, reverting: reference }));
    const withNext = withSnapshot().set("vg/vm1-root.next", next);
    assert.equal(underWay(withSnapshot()), false);
    assert.equal(underWay(withNext), false, "nothing but the content beside it was made");
    assert.equal(underWay(withSnapshot().set("vg/vm1-data", begun)), true);
    withNext.delete("vg/vm1-root");
    assert.equal(underWay(withNext), true);
    const gone = withSnapshot();
    gone.delete("vg/vm1-root");
    assert.equal(underWay(gone), false, "a volume that is gone keeps no snapshot from going");
  });

  it("leaves a volume alone that stands where the content should and is somebody else's", () => {
    const phase = plan(withSnapshot().set("vg/vm1-root.next", volume([])));
    assert.equal(phase.kind === "refusal" && phase.code, "volume-not-ours");
  });
});

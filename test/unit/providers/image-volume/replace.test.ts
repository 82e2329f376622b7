import * as assert from "node:assert/strict";
import * as fc from "fast-check";
import { plannedContentId } from "../../../../providers/image-volume/core/content.ts";
import {
  contentId,
  parseTags,
  type VolumeMarks,
} from "../../../../providers/image-volume/core/layout.ts";
import type { ObservedVolume } from "../../../../providers/image-volume/core/parsers.ts";
import {
  type DesiredVolume,
  type Observed,
  plan,
  type Step,
} from "../../../../providers/image-volume/core/plan.ts";
import { findCompanions, firstPhase } from "../../../../providers/image-volume/core/replace.ts";
import {
  applyStep,
  defaults,
  digest,
  gibibyte,
  observed,
  older,
  volume,
} from "../../../support/volume-situations.ts";

const desired: DesiredVolume = {
  ...{ volumeGroup: "lab", volumeName: "vm1", sizeBytes: 4 * gibibyte, owner: "p/s", adopt: false },
  ...{ ...defaults, allowStop: true, strategy: "replace" },
  image: { digest, bytes: 200, virtualBytes: 2 * gibibyte },
};
const ours = (marks: VolumeMarks): ObservedVolume => volume({ owner: "p/s", ...marks });
const old = ours({ state: "populated", digest: older, writes: 3 });
const users = [{ pid: 7, command: "qemu", domain: "vm1" }];
const next = {
  name: "vm1.next",
  volume: ours({ role: "next", state: "populated", digest, writes: 4 }),
};
const previous = {
  ...{ name: "vm1.previous" },
  volume: ours({ role: "previous", state: "populated", digest, writes: 2 }),
};

/** Each step as `kind`, or `kind name`. */
const kinds = (want: DesiredVolume, seen: Observed): string[] | string => {
  const planned = plan(want, seen);
  if (planned.kind === "refusal") return planned.refusal.code;
  return planned.steps.map((step) => ("name" in step ? `${step.kind} ${step.name}` : step.kind));
};

describe("planReplacement", () => {
  const write = ["fetchImage", "createVolume", "populateVolume", "zeroTail", "markPopulated"];
  const away = "removeCompanion vm1.previous";
  const keep: DesiredVolume = { ...desired, strategy: "inPlace", keepPrevious: true };
  const table: [string, DesiredVolume, Observed, string[] | string][] = [
    ["makes a new volume as any", desired, observed(), write],
    [
      "writes new content beside it, and then removes what it was",
      desired,
      observed({ volume: old }),
      [...write, "switchVolume", away],
    ],
    [
      "stops domains only for the switch",
      desired,
      observed({ volume: { ...old, users } }),
      [...write, "stopDomains", "switchVolume", "startDomains", away],
    ],
    ["keeps what it was", keep, observed({ volume: old }), [...write, "switchVolume"]],
    [
      "goes on with what an interrupted run wrote",
      desired,
      observed({ volume: old, next }),
      ["switchVolume", away],
    ],
    [
      "writes over what an interrupted run began",
      desired,
      observed({ volume: old, next: { ...next, volume: ours({ role: "next" }) } }),
      ["fetchImage", ...write.slice(2), "switchVolume", away],
    ],
    [
      "ends a switch that was interrupted between its renames",
      desired,
      observed({ next }),
      ["switchVolume"],
    ],
    ["brings back what fits", keep, observed({ volume: old, previous }), ["restorePrevious"]],
    [
      "ends a restore that was interrupted between its renames",
      keep,
      observed({ previous }),
      ["restorePrevious"],
    ],
    [
      "gives the other one its name, when a restore was interrupted",
      keep,
      observed({
        volume: ours({ state: "populated", digest }),
        previous: { ...previous, name: "vm1.next" },
      }),
      ["settleCompanions"],
    ],
    [
      "drops what is kept before something else is",
      keep,
      observed({
        volume: old,
        previous: { ...previous, volume: ours({ role: "previous", digest: older }) },
      }),
      [...write, away, "switchVolume"],
    ],
    [
      "removes what is to be kept no longer",
      desired,
      observed({ volume: ours({ state: "populated", digest }), previous }),
      [away],
    ],
    [
      "leaves what somebody else has under that name",
      desired,
      observed({ volume: old, inTheWay: { name: "vm1.next", volume: volume({}) } }),
      "volume-not-ours",
    ],
    [
      "needs room for both",
      desired,
      observed({ volume: old, group: { extentBytes: 4096, freeBytes: gibibyte } }),
      "volume-group-full",
    ],
    [
      "refuses a running domain that must not be stopped",
      { ...desired, allowStop: false },
      observed({ volume: { ...old, users } }),
      "volume-in-use",
    ],
    [
      "writes a volume in place that never was whole",
      desired,
      observed({ volume: ours({}) }),
      ["fetchImage", "populateVolume", "zeroTail", "markPopulated"],
    ],
    ["has nothing to do", desired, observed({ volume: ours({ state: "populated", digest }) }), []],
  ];
  for (const [does, want, seen, expected] of table)
    it(does, () => {
      assert.deepEqual(kinds(want, seen), expected);
    });

  it("names the content anew, whatever volume it is written onto", () => {
    const again = observed({ volume: ours({ state: "populated", digest, writes: 3 }), previous });
    const want = { ...desired, generation: 1 };
    assert.equal(
      plannedContentId(plan(want, again), again),
      contentId({ state: "populated", digest, writes: 4 }),
    );
    const back = observed({ volume: old, previous });
    assert.equal(plannedContentId(plan(desired, back), back), contentId(previous.volume.marks));
    const finish = observed({ volume: old, next });
    assert.equal(plannedContentId(plan(desired, finish), finish), contentId(next.volume.marks));
  });

  it("refuses with what a full group means here", () => {
    const planned = plan(
      desired,
      observed({ volume: old, group: { extentBytes: 4096, freeBytes: 1 } }),
    );
    assert.match(
      planned.kind === "refusal" ? planned.refusal.reason : "",
      /beside the volume as it is/,
    );
  });
});

describe("findCompanions", () => {
  const find = (there: Record<string, ObservedVolume>) =>
    findCompanions((name) => there[name], "vm1");

  it("goes by what a volume's tags say", () => {
    assert.deepEqual(find({ "vm1.next": next.volume, "vm1.previous": previous.volume }), {
      next,
      previous,
    });
    const aside = { name: "vm1.next", volume: previous.volume };
    assert.deepEqual(find({ "vm1.next": previous.volume }), { previous: aside });
    assert.deepEqual(find({ "vm1.next": old }), { inTheWay: { name: "vm1.next", volume: old } });
    assert.deepEqual(find({}), {});
  });
});

/** A host as its volumes by name, on which steps are carried out one by one, or half of one. */
type Host = Map<string, ObservedVolume>;

const look = (host: Host): Observed => {
  const seen = host.get("vm1");
  return observed({
    ...(seen && { volume: seen }),
    ...findCompanions((name) => host.get(name), "vm1"),
    cachedBytes: 200,
  });
};

const retag = (seen: ObservedVolume, add: string[], remove: string[]): ObservedVolume => {
  const tags = [...seen.tags.filter((tag) => !remove.includes(tag)), ...add];
  return { ...seen, tags, marks: parseTags(tags) };
};

/** The smallest things that a step does, each of which may be the last before the power goes. */
function deedsOf(host: Host, target: string, step: Step): (() => void)[] {
  const rename = (from: string, to: string): void => {
    const moved = host.get(from);
    if (moved === undefined) {
      assert.ok(host.has(to), `neither ${from} nor ${to}`);
      return;
    }
    assert.ok(!host.has(to), `${to} is in the way of ${from}`);
    host.delete(from);
    host.set(to, moved);
  };
  const role = (name: string, add: string[], remove: string[]): void => {
    const seen = host.get(name);
    assert.ok(seen, name);
    host.set(name, retag(seen, add, remove));
  };
  const [isNext, isPrevious] = [["groundwork.role=next"], ["groundwork.role=previous"]];
  const there = host.has("vm1");
  switch (step.kind) {
    case "removeCompanion":
      return [() => host.delete(step.name)];
    case "switchVolume":
      return [
        ...(there ? [() => role("vm1", isPrevious, []), () => rename("vm1", "vm1.previous")] : []),
        () => rename("vm1.next", "vm1"),
        () => role("vm1", [], isNext),
      ];
    case "restorePrevious":
      return [
        ...(there ? [() => role("vm1", isPrevious, []), () => rename("vm1", "vm1.next")] : []),
        () => rename("vm1.previous", "vm1"),
        () => role("vm1", [], isPrevious),
        () =>
          host.get("vm1.next")?.marks.role === "previous"
            ? rename("vm1.next", "vm1.previous")
            : undefined,
      ];
    case "settleCompanions":
      return [
        () => role("vm1", [], [...isNext, ...isPrevious]),
        () =>
          host.get("vm1.next")?.marks.role === "previous"
            ? rename("vm1.next", "vm1.previous")
            : undefined,
      ];
    default:
      return [
        () => {
          const after = applyStep(host.get(target), step);
          if (after !== undefined) host.set(target, after);
        },
      ];
  }
}

/** Plans and carries out until nothing is left to do, or the power goes after so many deeds. */
function run(host: Host, want: DesiredVolume, deeds: number): void {
  let left = deeds;
  for (let rounds = 0; rounds < 12; rounds += 1) {
    const seen = look(host);
    const planned = plan(want, seen);
    assert.ok(planned.kind === "steps", JSON.stringify(planned));
    if (planned.steps.length === 0) return;
    const phase = firstPhase(want, seen, planned.steps);
    assert.ok(phase.steps.length > 0, JSON.stringify(planned.steps));
    for (const step of phase.steps)
      for (const deed of deedsOf(host, phase.volumeName, step)) {
        if (left === 0) return;
        left -= 1;
        deed();
      }
  }
  assert.fail("it never ends");
}

describe("a replacement that is interrupted anywhere, any number of times", () => {
  it("converges, and the previous content is there when it is to be kept", () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(fc.record({ to: fc.constantFrom(digest, older), deeds: fc.nat(14) }), {
          maxLength: 6,
        }),
        (keepPrevious, interruptions) => {
          const host: Host = new Map([["vm1", old]]);
          const want = (to: string): DesiredVolume => ({
            ...{ ...desired, keepPrevious },
            image: { digest: to, bytes: 200, virtualBytes: 2 * gibibyte },
          });
          for (const { to, deeds } of interruptions) run(host, want(to), deeds);
          run(host, want(digest), Number.POSITIVE_INFINITY);
          const is = host.get("vm1")?.marks;
          assert.deepEqual([is?.digest, is?.state, is?.role], [digest, "populated", undefined]);
          const others = [...host.keys()].filter((name) => name !== "vm1");
          if (!keepPrevious) assert.deepEqual(others, []);
          else
            assert.ok(
              others.every(
                (name) => host.get(name)?.marks.role === "previous" && name === "vm1.previous",
              ),
              others.join(),
            );
          run(host, want(older), Number.POSITIVE_INFINITY);
          assert.equal(host.get("vm1")?.marks.digest, older);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

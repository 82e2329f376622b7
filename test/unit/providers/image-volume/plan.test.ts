import * as assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  type DesiredVolume,
  type Observed,
  plan,
  type Step,
  undoOf,
} from "../../../../providers/image-volume/core/plan.ts";
import { plannedContentId } from "../../../../providers/image-volume/core/content.ts";
import {
  applyStep,
  carryOut,
  defaults,
  digest,
  extentBytes,
  gibibyte,
  observed,
  older,
  situations,
  stopped,
  volume,
} from "../../../support/volume-situations.ts";

const desired: DesiredVolume = {
  volumeGroup: "lab",
  volumeName: "vm1-root",
  sizeBytes: 4 * gibibyte,
  owner: "p/s",
  adopt: false,
  ...defaults,
  image: { digest, bytes: 200, virtualBytes: 2 * gibibyte },
};

function withoutImage(want: DesiredVolume): DesiredVolume {
  const rest = { ...want };
  delete rest.image;
  return rest;
}

const kinds = (want: DesiredVolume, seen: Observed): Step["kind"][] | string => {
  const planned = plan(want, seen);
  return planned.kind === "steps" ? planned.steps.map(({ kind }) => kind) : planned.refusal.code;
};

const populated = volume({ owner: "p/s", state: "populated", digest });
const growingFrom = (bytes: number): Observed =>
  observed({
    volume: volume({ owner: "p/s", state: "populated", digest, growingFromBytes: bytes }),
  });
const domainUser = { pid: 7, command: "qemu-system-x86", domain: "vm1" };
const populate = ["populateVolume", "zeroTail", "markPopulated"] as const;
const blank = withoutImage(desired);

describe("planVolume", () => {
  const table: [string, DesiredVolume, Observed, Step["kind"][] | string][] = [
    [
      "fetches, creates and populates what is not there",
      desired,
      observed(),
      ["fetchImage", "createVolume", ...populate],
    ],
    [
      "reuses a cache entry",
      desired,
      observed({ cachedBytes: 200 }),
      ["createVolume", ...populate],
    ],
    [
      "zeroes a volume without an image",
      blank,
      observed(),
      ["createVolume", "zeroVolume", "markPopulated"],
    ],
    ["does nothing for what is as it should be", desired, observed({ volume: populated }), []],
    [
      "fetches nothing for a populated volume whose image left the cache",
      desired,
      observed({ volume: populated, cacheFreeBytes: 0 }),
      [],
    ],
    [
      "populates an interrupted volume in place",
      desired,
      observed({ cachedBytes: 200, volume: volume({ owner: "p/s" }) }),
      [...populate],
    ],
    [
      "unmarks before it writes another image",
      desired,
      observed({
        cachedBytes: 200,
        volume: volume({ owner: "p/s", state: "populated", digest: older }),
      }),
      ["unmarkVolume", ...populate],
    ],
    [
      "zeroes a volume that lost its image",
      blank,
      observed({ volume: populated }),
      ["unmarkVolume", "zeroVolume", "markPopulated"],
    ],
    [
      "grows",
      { ...desired, sizeBytes: 5 * gibibyte },
      observed({ volume: populated }),
      ["growVolume"],
    ],
    [
      "goes on with a growth that was interrupted",
      desired,
      growingFrom(3 * gibibyte),
      ["growVolume"],
    ],
    [
      "takes the mark of a growth away that failed and is wished no more",
      desired,
      growingFrom(desired.sizeBytes),
      ["growVolume"],
    ],
    [
      "grows also while a domain has it open",
      { ...desired, sizeBytes: 5 * gibibyte },
      observed({ volume: { ...populated, users: [{ pid: 1, command: "qemu", domain: "vm1" }] } }),
      ["growVolume"],
    ],
    [
      "takes over a volume with its content",
      { ...desired, adopt: true },
      observed({ volume: volume({}) }),
      ["adoptVolume"],
    ],
    [
      "leaves an adopted volume as it is",
      { ...desired, adopt: true },
      observed({ volume: volume({ owner: "p/s", state: "adopted", digest }) }),
      [],
    ],
    [
      "retags for an owner renamed",
      { ...desired, owner: "p/new", formerOwner: "p/s" },
      observed({ volume: populated }),
      ["changeOwner"],
    ],
    [
      "retags and populates an interrupted volume of an owner renamed",
      { ...desired, owner: "p/new", formerOwner: "p/s" },
      observed({ cachedBytes: 1, volume: volume({ owner: "p/s" }) }),
      ["changeOwner", ...populate],
    ],
    [
      "writes the image anew for another generation",
      { ...desired, generation: 1 },
      observed({ cachedBytes: 200, volume: populated }),
      ["unmarkVolume", ...populate],
    ],
    [
      "stops the domain and starts it again, where that is allowed",
      { ...desired, generation: 1, allowStop: true },
      observed({ cachedBytes: 200, volume: { ...populated, users: [domainUser] } }),
      ["stopDomains", "unmarkVolume", ...populate, "startDomains"],
    ],
    [
      "leaves the domain stopped that is made anew",
      { ...desired, generation: 1, allowStop: true, startAgain: false },
      observed({ cachedBytes: 200, volume: { ...populated, users: [domainUser] } }),
      ["stopDomains", "unmarkVolume", ...populate],
    ],
    [
      "starts what an interrupted run had stopped",
      desired,
      observed({ volume: volume({ ...populated.marks, stopped: [stopped] }) }),
      ["startDomains"],
    ],
    [
      "stops nothing while there is nothing to write",
      { ...desired, sizeBytes: 5 * gibibyte, allowStop: true },
      observed({ volume: { ...populated, users: [domainUser] } }),
      ["growVolume"],
    ],
    [
      "refuses to stop a process that is no domain",
      { ...desired, generation: 1, allowStop: true },
      observed({
        cachedBytes: 200,
        volume: { ...populated, users: [domainUser, { pid: 8, command: "dd" }] },
      }),
      "volume-in-use",
    ],
    [
      "refuses where there is no volume group",
      desired,
      { cacheFreeBytes: 1, rates: new Map() },
      "volume-group-missing",
    ],
    ["refuses what is not ours", desired, observed({ volume: volume({}) }), "volume-not-ours"],
    [
      "refuses what is another stack's",
      desired,
      observed({ volume: volume({ owner: "p/other", state: "populated", digest }) }),
      "volume-not-ours",
    ],
    [
      "refuses to shrink",
      { ...desired, sizeBytes: 3 * gibibyte },
      observed({ volume: populated }),
      "volume-shrink-refused",
    ],
    [
      "refuses an image larger than the volume",
      { ...desired, sizeBytes: gibibyte },
      observed(),
      "image-larger-than-volume",
    ],
    [
      "refuses what the volume group has no room for",
      desired,
      observed({ group: { extentBytes, freeBytes: gibibyte } }),
      "volume-group-full",
    ],
    [
      "refuses to grow past the volume group",
      { ...desired, sizeBytes: 9 * gibibyte },
      observed({ volume: populated, group: { extentBytes, freeBytes: gibibyte } }),
      "volume-group-full",
    ],
    [
      "refuses to write while the volume is open",
      desired,
      observed({ volume: volume({ owner: "p/s" }, { users: [{ pid: 7, command: "dd" }] }) }),
      "volume-in-use",
    ],
    [
      "refuses a fetch that the disk has no room for",
      desired,
      observed({ cacheFreeBytes: 199 }),
      "cache-disk-full",
    ],
  ];
  for (const [title, want, seen, expected] of table)
    it(title, () => {
      assert.deepEqual(kinds(want, seen), expected);
    });

  it("takes an image exactly as large as the volume", () => {
    const exact = { ...desired, image: { digest, bytes: 200, virtualBytes: desired.sizeBytes } };
    assert.ok(Array.isArray(kinds(exact, observed())));
  });

  it("rounds the size up to whole extents, and then finds it right", () => {
    const odd = { ...desired, sizeBytes: 4 * gibibyte - 1 };
    assert.deepEqual(kinds(odd, observed({ volume: populated })), []);
  });

  it("names the domain that is in the way", () => {
    const users = [{ pid: 7, command: "qemu-system-x86", domain: "vm1" }];
    const planned = plan(desired, observed({ volume: volume({ owner: "p/s" }, { users }) }));
    assert.match(
      planned.kind === "refusal" ? planned.refusal.reason : "",
      /domain "vm1" has it open/,
    );
  });

  it("fetches before it stops a domain, and counts each time the content is written", () => {
    const volumeBefore = volume({ ...populated.marks, writes: 3 }, { users: [domainUser] });
    const want = { ...desired, generation: 2, allowStop: true };
    const planned = plan(want, observed({ volume: volumeBefore }));
    if (planned.kind === "refusal") assert.fail(planned.refusal.reason);
    assert.deepEqual(
      planned.steps.slice(0, 2).map(({ kind }) => kind),
      ["fetchImage", "stopDomains"],
    );
    const after = carryOut(observed({ volume: volumeBefore }), planned.steps);
    assert.deepEqual(after.volume?.marks, {
      ...{ owner: "p/s", digest, state: "populated", generation: 2, writes: 4 },
    });
    assert.equal(plannedContentId(planned, observed()), `${digest.slice(0, 12)}.4`);
  });

  it("puts the mark last, and removes every mark before the first write", () => {
    fc.assert(
      fc.property(situations, ([want, seen]) => {
        const planned = plan(want, seen);
        if (planned.kind === "refusal") return;
        let now = seen.volume;
        for (const step of planned.steps) {
          if (["populateVolume", "zeroVolume", "zeroTail"].includes(step.kind))
            assert.equal(now?.marks.state, undefined, "wrote under a mark");
          now = applyStep(now, step);
        }
      }),
    );
  });

  it("has nothing left to do once it has been carried out", () => {
    fc.assert(
      fc.property(situations, ([want, seen]) => {
        const planned = plan(want, seen);
        if (planned.kind === "refusal") return;
        const after = carryOut(seen, planned.steps);
        assert.deepEqual(plan(want, after), { kind: "steps", steps: [] });
      }),
      { numRuns: 2000 },
    );
  });

  it("comes to the same end when it is interrupted after any step", () => {
    fc.assert(
      fc.property(situations, fc.nat(), ([want, seen], where) => {
        const planned = plan(want, seen);
        if (planned.kind === "refusal") return;
        const cut = planned.steps.slice(0, where % (planned.steps.length + 1));
        const half = carryOut(seen, cut);
        const rest = plan(want, half);
        if (rest.kind === "refusal") assert.fail(rest.refusal.reason);
        assert.deepEqual(plan(want, carryOut(half, rest.steps)), { kind: "steps", steps: [] });
      }),
      { numRuns: 2000 },
    );
  });

  it("never takes back what the run did not make", () => {
    fc.assert(
      fc.property(situations, ([want, seen]) => {
        const planned = plan(want, seen);
        if (planned.kind === "refusal") return;
        const removals = planned.steps.filter((step) => undoOf(step)?.kind === "removeVolume");
        assert.equal(removals.length, seen.volume === undefined ? 1 : 0);
      }),
    );
  });

  it("never touches the tags of others", () => {
    fc.assert(
      fc.property(situations, ([want, seen]) => {
        const planned = plan(want, seen);
        if (planned.kind === "refusal" || seen.volume === undefined) return;
        assert.ok(carryOut(seen, planned.steps).volume?.tags.includes("other=tag"));
      }),
    );
  });
});

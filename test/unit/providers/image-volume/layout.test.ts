import * as assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  buildTags,
  cacheLayout,
  isOwnTag,
  ownerPattern,
  parseEntryName,
  parseTags,
  parseVolumeId,
  volumeId,
  volumeLock,
  type VolumeMarks,
} from "../../../../providers/image-volume/core/layout.ts";

const digest = fc.stringMatching(/^[0-9a-f]{64}$/);
const owner = fc.stringMatching(ownerPattern);

const marks: fc.Arbitrary<VolumeMarks> = fc
  .record(
    {
      owner,
      digest,
      state: fc.constantFrom("populated" as const, "adopted" as const),
      growingFromBytes: fc.nat(),
      generation: fc.integer({ min: 1, max: 999_999_999 }),
      writes: fc.nat(999_999_999),
      reverting: fc.stringMatching(/^[a-z]{1,9}:[0-9]{1,10}$/),
      stopped: fc.uniqueArray(fc.uuid(), { minLength: 1, maxLength: 3 }),
    },
    { requiredKeys: [] },
  )
  .map((record) => ({ ...record }));

describe("cacheLayout", () => {
  const cache = cacheLayout("/var/lib/groundwork/cache");

  it("finds again under the same name what was written", () => {
    fc.assert(
      fc.property(digest, fc.nat({ max: Number.MAX_SAFE_INTEGER }), (sha256, bytes) => {
        const name = cache.entry(sha256, bytes).slice(`${cache.folder}/`.length);
        assert.deepEqual(parseEntryName(name), { digest: sha256, bytes });
      }),
    );
  });

  it("takes no unfinished fetch, lock or entry set aside for an entry", () => {
    fc.assert(
      fc.property(digest, (sha256) => {
        for (const file of [
          cache.partial(sha256),
          cache.lock(sha256),
          `${cache.entry(sha256, 5)}.corrupt`,
        ])
          assert.equal(parseEntryName(file.slice(`${cache.folder}/`.length)), undefined);
      }),
    );
  });

  it("never takes any other name for an entry, and never throws", () => {
    fc.assert(
      fc.property(fc.string(), (name) => {
        const entry = parseEntryName(name);
        if (entry === undefined) return;
        assert.equal(cache.entry(entry.digest, entry.bytes), `${cache.folder}/${name}`);
      }),
    );
  });

  it("stays in its folder, whatever it is asked for", () => {
    for (const bad of ["../../etc/passwd", "A".repeat(64), "", "a".repeat(63), "a".repeat(65)])
      assert.throws(() => cache.entry(bad, 1), { code: "bad-digest" });
  });

  for (const folder of ["cache", "", "/a/../b", "/a//b", "/a/", "/.", "~/cache"])
    it(`refuses ${JSON.stringify(folder)} as its folder`, () => {
      assert.throws(() => cacheLayout(folder), { code: "bad-cache-folder" });
    });
});

describe("parseTags", () => {
  it("reads what buildTags wrote, among tags of others", () => {
    fc.assert(
      fc.property(
        marks,
        fc.shuffledSubarray(["backup=no", "groundwork", "x.y=z"]),
        (said, others) => {
          assert.deepEqual(parseTags([...others, ...buildTags(said)]), said);
          assert.ok(buildTags(said).every(isOwnTag));
          assert.ok(!others.some(isOwnTag));
        },
      ),
    );
  });

  it("writes only what LVM allows in a tag", () => {
    fc.assert(
      fc.property(marks, (said) => {
        for (const tag of buildTags(said)) assert.match(tag, /^[A-Za-z0-9_+.\-/=!:&#]{1,1024}$/);
      }),
    );
  });

  it("trusts no owner where there are two", () => {
    assert.deepEqual(parseTags(["groundwork.owner=a/b", "groundwork.owner=c/d"]), {});
  });

  it("ignores states, digests and sizes that are none", () => {
    assert.deepEqual(
      parseTags(["groundwork.state=done", "groundwork.digest=sha256:xyz", "groundwork.growing=-1"]),
      {},
    );
  });
});

describe("volumeId", () => {
  it("is read back", () => {
    assert.deepEqual(parseVolumeId(volumeId("lab", "vm1-root")), {
      volumeGroup: "lab",
      volumeName: "vm1-root",
    });
  });

  for (const id of ["lab", "lab/a/b", "/a", "lab/", "lab/..", "-x/a", "lab/$(id)"])
    it(`refuses ${JSON.stringify(id)}`, () => {
      assert.throws(() => parseVolumeId(id), { code: /^bad-volume-(id|name)$/ });
    });

  it("has a lock of its own, which is no lock of its volume group", () => {
    assert.equal(volumeLock("lab", "vm1-root"), "/run/lock/groundwork-lab-vm1-root.lock");
  });
});

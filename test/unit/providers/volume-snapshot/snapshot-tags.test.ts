import * as assert from "node:assert/strict";
import * as fc from "fast-check";
import { isOwnTag } from "../../../../providers/image-volume/core/layout.ts";
import {
  buildSnapshotTags,
  consistencyPrefix,
  decodeTagText,
  encodeTagText,
  parseHeld,
  parseSnapshotTags,
  snapshotName,
} from "../../../../providers/image-volume/core/snapshot-tags.ts";

const marks = fc.record({
  name: fc.stringMatching(snapshotName),
  machine: fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/),
  origin: fc.stringMatching(/^[a-z][a-z0-9-]{0,10}-root$/),
  takenAtSeconds: fc.nat(2_000_000_000),
  parts: fc.integer({ min: 1, max: 21 }),
  description: fc.string({ unit: "grapheme", maxLength: 80 }),
});

describe("a snapshot's tags", () => {
  it("say again what was written, in characters that LVM allows", () => {
    fc.assert(
      fc.property(marks, (written) => {
        const tags = buildSnapshotTags(written);
        for (const tag of tags) assert.match(tag, /^[A-Za-z0-9_+.\-/=!:&#]{1,1024}$/);
        assert.ok(tags.every(isOwnTag));
        assert.deepEqual(parseSnapshotTags([...tags, "other=1"].reverse()), { ...written });
        const done = parseSnapshotTags([...tags, `${consistencyPrefix}frozen`]);
        assert.deepEqual(done, { ...written, consistency: "frozen" });
      }),
    );
  });

  it("are none where one is missing, twice there, or of another volume", () => {
    const tags = buildSnapshotTags({
      ...{ name: "a", machine: "vm1", origin: "vm1-root", takenAtSeconds: 5, parts: 1 },
      description: "",
    });
    assert.ok(parseSnapshotTags(tags));
    for (const missing of tags)
      assert.equal(parseSnapshotTags(tags.filter((tag) => tag !== missing)), undefined, missing);
    assert.equal(parseSnapshotTags([...tags, "groundwork.taken=6"]), undefined);
    assert.equal(parseSnapshotTags(tags.map((tag) => tag.replace("=a", "=../a"))), undefined);
  });

  it("keep any text, and give back as it is what nobody encoded", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        assert.equal(decodeTagText(encodeTagText(text)), text);
      }),
    );
    assert.equal(decodeTagText("#zz"), "#zz");
  });

  it("name domains that are kept from writing, by UUID only", () => {
    const uuid = "0c9a5c0e-9a5d-4d55-8f44-0a7d8a1c2b3d";
    assert.deepEqual(
      parseHeld([`groundwork.held=paused:${uuid}`, "groundwork.held=frozen:$(reboot)", "x"]),
      [{ kind: "paused", uuid }],
    );
  });
});

import * as assert from "node:assert/strict";
import { type ApplyArguments, renderApply } from "../../../../providers/image-volume/core/apply.ts";
import { cacheLayout } from "../../../../providers/image-volume/core/layout.ts";
import { volumeGroupCommands } from "../../../../providers/volume-group/core/commands.ts";
import { assertBash, assertOrder } from "../../../support/bash-text.ts";
import { cachedImage, seenVolume as seen } from "../../../support/volume-situations.ts";

const cache = cacheLayout("/var/lib/groundwork/cache");
const digest = "a".repeat(64);
const apply = (more: Partial<ApplyArguments> = {}): string =>
  renderApply({
    commands: volumeGroupCommands("device-mapper"),
    volumeGroup: "lab",
    volumeName: "vm1-root",
    steps: [
      { kind: "createVolume", bytes: 4096, addTags: ["groundwork.owner=p/s"] },
      { kind: "populateVolume", digest },
      { kind: "zeroTail", toBytes: 4096 },
      { kind: "markPopulated", addTags: ["groundwork.state=populated"], removeTags: [] },
    ],
    seen: undefined,
    image: cachedImage,
    libvirtUri: "qemu:///system",
    rates: cache.rates,
    ...more,
  });

describe("renderApply", () => {
  for (const activation of ["loop", "device-mapper"] as const)
    it(`is bash, with ${activation}`, () => {
      assertBash(apply({ commands: volumeGroupCommands(activation) }));
    });

  it("looks under the lock, then makes, writes, zeroes and marks", () => {
    assertOrder(
      apply(),
      "gw_lock ",
      "gw_fail host-changed",
      "vg_create",
      "qemu-img convert",
      "gw_fail cache-entry-corrupt",
      'gw_zero "$device" 2048 4096',
      "--addtag groundwork.state=populated",
      "gw_done=1",
    );
  });

  it("asks who uses a volume that was there, and not of one that it has just made", () => {
    assert.doesNotMatch(apply(), /^gw_refuse_open "/m);
    const again = apply({ seen, steps: [{ kind: "populateVolume", digest }] });
    assertOrder(again, 'gw_refuse_open "$device"', "vg_idle /dev/lab/vm1-root", "qemu-img convert");
  });

  it("marks what it wrote from an image that was being fetched only when that has become an entry", () => {
    const follow = { part: cache.partial(digest), header: Buffer.from("QFI") };
    const script = apply({ image: { ...cachedImage, verify: false, follow } });
    assertBash(script);
    assertOrder(
      script,
      "vg_create",
      `gw_follow ${cache.partial(digest)} ${cachedImage.entry} 100 514649`,
      '-- "$source" "$device"',
      `gw_followed ${cache.partial(digest)} ${cachedImage.entry}`,
      "--addtag groundwork.state=populated",
    );
    assert.match(script, /^gw_took populateVolume 2048 0$/m, "no rate is learnt from it");
  });

  it("undoes what it makes, and nothing that was there", () => {
    assert.match(apply(), /^gw_undo\+=\(/m);
    assert.doesNotMatch(
      apply({ seen, steps: [{ kind: "populateVolume", digest }] }),
      /^gw_undo\+=/m,
    );
  });

  const clone = {
    ...({
      kind: "cloneGolden",
      pool: "pool",
      golden: "pool-golden-a",
      digest,
      bytes: 4096,
    } as const),
    addTags: ["groundwork.owner=p/s"],
  };

  it("clones a golden volume only while it is complete and the pool is well", () => {
    const script = apply({ steps: [clone] });
    assertBash(script);
    assertOrder(
      script,
      "gw_pool_takes lab pool 0",
      "vg_locked lab vg_clone_idle lab vm1-root pool-golden-a --addtag groundwork.owner=p/s || {",
      "gw_undo=()",
      `lv_name="vm1-root" || lv_name="pool-golden-a"`,
      '[ "$name" = pool-golden-a ] || gw_fail host-changed',
      `*,groundwork.digest=sha256:${digest},*`,
      "*,groundwork.state=populated,*",
      "vg_locked lab vg_clone lab vm1-root pool-golden-a --addtag groundwork.owner=p/s",
      "gw_mapped lab vm1-root",
      '[ "$bytes" -ge 4096 ] || vg_locked lab vg_extend lab vm1-root 4096',
    );
    assert.match(script, /gw_undo\+=/);
  });

  it("clones without another look at a pool that was far from full, and under one lock", () => {
    const script = apply({ steps: [{ ...clone, isRoomy: true }] });
    assert.doesNotMatch(script, /^gw_pool_takes |^gw_lock /m);
    const mark = { kind: "markPopulated" as const, addTags: ["a"], removeTags: [] };
    assert.match(apply({ steps: [clone, mark] }), /^gw_lock /m);
  });

  it("looks for room in the pool before it drops what is on a thin volume", () => {
    const thin = { ...seen, segmentType: "thin", pool: "pool" };
    const script = apply({ seen: thin, steps: [{ kind: "populateVolume", digest }] });
    assertBash(script);
    assertOrder(
      script,
      "blocks=$(gw_blocks",
      "gw_pool_takes lab pool",
      "gw_blank",
      "qemu-img convert",
    );
  });

  it("does not read an image again that was verified in this run", () => {
    const image = { ...cachedImage, verify: false };
    assert.doesNotMatch(apply({ image }), /exec \{sum\}/);
  });

  it("marks a growth before it begins, and zeroes the new piece before a guest is told", () => {
    assertOrder(
      apply({
        seen,
        steps: [{ kind: "growVolume", fromBytes: 4096, hasBytes: 4096, toBytes: 8192 }],
      }),
      "--addtag groundwork.growing=4096",
      "vg_extend",
      'gw_zero "$device" 4096 8192',
      "--deltag groundwork.growing=4096",
      "blockresize",
    );
  });

  it("zeroes what a growth that broke off had added only for those who have had it open all the while", () => {
    const step = { kind: "growVolume" as const, fromBytes: 4096, hasBytes: 8192, toBytes: 16384 };
    const script = apply({ seen, steps: [step] });
    assertOrder(script, "vg_extend", "if gw_same_users", 'gw_zero "$device" 4096 8192');
    assertOrder(script, "fi", 'gw_zero "$device" 8192 16384', "--deltag");
    assert.doesNotMatch(script.slice(script.indexOf("vg_extend")), /gw_note_users "/);
  });

  it("changes tags in one go, and never removes one that it adds", () => {
    const script = apply({
      seen,
      steps: [
        {
          kind: "adoptVolume",
          addTags: ["groundwork.owner=p/s"],
          removeTags: ["groundwork.owner=p/s", "groundwork.state=populated"],
        },
      ],
    });
    assert.match(
      script,
      /^vg_lvm lvchange --deltag groundwork\.state=populated --addtag groundwork\.owner=p\/s lab\/vm1-root/m,
    );
  });

  for (const volumeName of ["a;b", "$(id)", "-x", "..", "a b"])
    it(`refuses the name ${JSON.stringify(volumeName)}`, () => {
      assert.throws(() => apply({ volumeName }), { code: "bad-volume-name" });
    });
});

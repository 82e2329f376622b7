import * as assert from "node:assert/strict";
import {
  type RemoveArguments,
  renderRemove,
} from "../../../../providers/image-volume/core/remove.ts";
import { volumeGroupCommands } from "../../../../providers/volume-group/core/commands.ts";
import { assertBash, assertOrder } from "../../../support/bash-text.ts";
import { seenVolume as seen } from "../../../support/volume-situations.ts";

const remove = (more: Partial<RemoveArguments> = {}): string =>
  renderRemove({
    commands: volumeGroupCommands("loop"),
    ...{ volumeGroup: "lab", volumeName: "vm1-root", seen, wipe: "zero" },
    ...more,
  });

describe("renderRemove", () => {
  for (const wipe of ["zero", "discard", "none"] as const)
    it(`is bash, with wipe: ${wipe}`, () => {
      assertBash(remove({ wipe }));
    });

  it("unmarks, zeroes, then removes", () => {
    assertOrder(
      remove(),
      "gw_refuse_open",
      "--deltag groundwork.state=populated",
      'gw_zero "$device" 0 4096',
      "vg_remove",
    );
  });

  it("discards, and zeroes where the device cannot", () => {
    const script = remove({ wipe: "discard" });
    assertOrder(script, "blkdiscard --", "undiscarded", "gw_zero", "vg_remove");
    assert.match(script, /^if ! blkdiscard -- "\$device"/m);
  });

  it("unmarks also what it does not wipe, and does not write", () => {
    const script = remove({ wipe: "none" });
    assertOrder(script, "--deltag groundwork.state=populated", "vg_remove");
    assert.doesNotMatch(script, /^ *(gw_zero|.*blkdiscard) .*"\$device"/m);
  });

  it("keeps the owner's tag to the end, so that an interrupted removal can go on", () => {
    assert.doesNotMatch(remove(), /--deltag groundwork\.owner/);
  });

  it("zeroes no thin volume, whose pool hands out zeroes", () => {
    const thin = remove({
      commands: volumeGroupCommands("device-mapper"),
      seen: { ...seen, segmentType: "thin" },
    });
    assert.doesNotMatch(thin, /^gw_zero /m);
  });
});

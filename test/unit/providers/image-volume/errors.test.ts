import * as assert from "node:assert/strict";
import {
  formatBytes,
  hasCode,
  refusalError,
} from "../../../../providers/image-volume/core/errors.ts";
import { buildFailure } from "../../../../providers/image-volume/core/failures.ts";

describe("formatBytes", () => {
  for (const [bytes, text] of [
    [0, "0 bytes"],
    [512, "512 bytes"],
    [1536, "1.5 KiB"],
    [190 * 2 ** 20, "190 MiB"],
    [10 * 2 ** 30, "10 GiB"],
    [5000 * 2 ** 40, "5000 TiB"],
  ] as const)
    it(`writes ${String(bytes)} as ${text}`, () => {
      assert.equal(formatBytes(bytes), text);
    });
});

describe("refusalError", () => {
  it("says what failed, for which volume, where, why and what to do", () => {
    const refusal = {
      code: "image-larger-than-volume" as const,
      reason: "the image needs 10 GiB and the volume has 8 GiB",
      next: "Set sizeGiB to 10 or more.",
    };
    const error = refusalError(refusal, "populate", "lab/vm1-root", "hv1");
    assert.equal(
      error.message,
      'Cannot populate volume "lab/vm1-root" on hv1: the image needs 10 GiB and the volume has 8 GiB. Set sizeGiB to 10 or more.',
    );
    assert.ok(hasCode(error, "image-larger-than-volume"));
    assert.equal(hasCode(error, "volume-not-ours"), false);
  });
});

describe("buildFailure", () => {
  const subject = {
    purpose: "fetch the image",
    hostName: "hv1",
    image: "images/debian.qcow2",
    digest: "a".repeat(64),
  };
  const failures = {
    "digest-mismatch": new RegExp(`${"b".repeat(64)}.*${"a".repeat(64)}.*Upload`),
    "cache-entry-corrupt": /set aside as \*\.corrupt/,
    "image-changed": /was replaced/,
    "image-missing": /HTTP 404/,
    "image-forbidden": /refuses to hand out/,
    "cache-disk-full": /GROUNDWORK_IMAGE_CACHE/,
    "fetch-failed": /could not be fetched/,
    "volume-in-use": /has it open/,
    "volume-locked": /Wait for the other run/,
    "host-changed": /Run the same command again/,
  };
  for (const [code, says] of Object.entries(failures))
    it(`explains ${code}`, () => {
      const error = buildFailure({ code, detail: "b".repeat(64) }, subject);
      assert.equal(error.code, code);
      assert.match(error.message, /^Cannot fetch the image on hv1: /);
      assert.match(error.message, says);
    });
});

import * as assert from "node:assert/strict";
import { renderDecode } from "../../../../providers/image-volume/core/decode.ts";
import { cacheLayout, parseCacheName } from "../../../../providers/image-volume/core/layout.ts";
import { assertBash, assertOrder } from "../../../support/bash-text.ts";
import { cachedImage, digest } from "../../../support/volume-situations.ts";

describe("renderDecode", () => {
  const file = cacheLayout("/cache").decoded(digest, "ab12");
  const script = renderDecode(file, cachedImage);

  it("is bash", () => {
    assertBash(script);
  });

  it("writes a file only where it finds room, from an entry that is hashed meanwhile", () => {
    assertOrder(
      script,
      'if [ "$free" -lt 4096 ]',
      `source=${cachedImage.entry}`,
      "exec {sum}< <(gw_digest",
      'gw_scratch+=("$decoded.new")',
      "qemu-img convert -f qcow2 -O raw",
      "gw_fail cache-entry-corrupt",
      'mv -- "$decoded.new" "$decoded"',
      "@value decoded yes",
    );
  });

  it("has a name that the cache knows for what goes when it is old", () => {
    assert.deepEqual(parseCacheName(file.replace("/cache/", "")), { kind: "partial", digest });
  });
});

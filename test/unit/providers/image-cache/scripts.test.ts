import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  renderEvict,
  renderList,
  renderVerify,
} from "../../../../providers/image-cache/core/scripts.ts";
import { cacheLayout } from "../../../../providers/image-volume/core/layout.ts";

const cache = cacheLayout("/var/lib/groundwork's cache");
const digest = "a".repeat(64);
const file = {
  ...{ name: `${digest}.100.image`, digest, contentDigest: digest, usedAtSeconds: 5 },
  ...({ bytes: 100, state: "whole" } as const),
};

describe("the scripts of the cache", () => {
  for (const [name, script] of [
    ["renderList", renderList(cache)],
    ["renderVerify", renderVerify(cache, [file])],
    ["renderEvict", renderEvict(cache, [file])],
  ] as const)
    it(`${name} is bash`, () => {
      const { status, stderr } = spawnSync("bash", ["-n"], { input: script, encoding: "utf8" });
      assert.equal(status, 0, stderr);
    });

  it("renderList changes nothing", () => {
    assert.doesNotMatch(renderList(cache), /\b(rm|mv|mkdir|touch)\b|[^2]>(?!\/dev\/null)[^&]/);
  });
});

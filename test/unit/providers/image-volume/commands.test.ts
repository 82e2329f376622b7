import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  renderEnsureEntry,
  renderProbe,
} from "../../../../providers/image-volume/core/commands.ts";
import { cacheLayout } from "../../../../providers/image-volume/core/layout.ts";
import { plainQcow2 } from "../../../support/volume-situations.ts";

const cache = cacheLayout("/var/lib/groundwork/cache");
const digest = "a".repeat(64);

const assertBash = (script: string): void => {
  const { status, stderr } = spawnSync("bash", ["-n"], { input: script, encoding: "utf8" });
  assert.equal(status, 0, stderr);
};

describe("renderEnsureEntry", () => {
  const source = { url: `http://store/a"b\\c?X-Amz-Signature=5'5`, etag: "e-1" };
  const script = renderEnsureEntry({ cache, digest, bytes: 100, format: plainQcow2, source });

  it("is bash", () => {
    assertBash(script);
    assertBash(renderEnsureEntry({ cache, digest, bytes: 100, format: plainQcow2 }));
  });

  it("hands the URL to curl on standard input, quoted for its configuration", () => {
    const [, request = ""] = /^request=(.*(?:\n.*)?)$/m.exec(script) ?? [];
    const { stdout } = spawnSync("bash", ["-c", `request=${request}; printf %s "$request"`], {
      encoding: "utf8",
    });
    assert.equal(
      stdout,
      `url = "http://store/a\\"b\\\\c?X-Amz-Signature=5'5"\nheader = "If-Match: \\"e-1\\""`,
    );
  });

  it("reads only what is there when it has no source", () => {
    assert.doesNotMatch(
      renderEnsureEntry({ cache, digest, bytes: 100, format: plainQcow2 }),
      /curl/,
    );
  });
});

describe("renderProbe", () => {
  it("is bash", () => {
    assertBash(renderProbe(cache));
  });

  it("changes nothing", () => {
    const body = renderProbe(cache).split("section activation")[1] ?? "";
    assert.doesNotMatch(body, /lvchange|lvcreate|mkdir|losetup -f|\brm\b|vg_activate/);
  });
});

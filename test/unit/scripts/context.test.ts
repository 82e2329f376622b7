import assert from "node:assert/strict";
import { mayUseEmbedded, readConfig } from "../../../scripts/lib/context.ts";

describe("readConfig", () => {
  it("reads the stack file of this checkout", async () => {
    const { machines } = await readConfig("local");
    assert.deepEqual(
      machines.map(({ name }) => name),
      ["vm1"],
    );
  });

  it("names the stacks there are when one is asked for that there is not", async () => {
    await assert.rejects(readConfig("nope"), {
      code: "unknown-stack",
      message: /Pulumi\.nope\.yaml is missing.* choose one of: (\w+, )*local(, \w+)*\.$/,
    });
  });
});

describe("mayUseEmbedded", () => {
  it("goes by the stack file, and cannot exclude it where that is gone", async () => {
    assert.equal(await mayUseEmbedded("local"), true);
    assert.equal(await mayUseEmbedded("sandbox"), false);
    assert.equal(await mayUseEmbedded("gone"), true);
  });
});

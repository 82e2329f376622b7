import assert from "node:assert/strict";
import { readConfig } from "../../../scripts/lib/context.ts";

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

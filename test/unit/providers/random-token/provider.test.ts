import assert from "node:assert/strict";
import * as provider from "../../../../providers/random-token/provider.ts";

describe("RandomToken", () => {
  const inputs = { purpose: "server-token of kube", generation: 0 };

  it("draws 256 bits, of which the id tells nothing", async () => {
    const [one, other] = await Promise.all([provider.create(inputs), provider.create(inputs)]);
    assert.match(String(one.outs["value"]), /^[0-9a-f]{64}$/);
    assert.notEqual(one.outs["value"], other.outs["value"]);
    assert.equal(one.id, inputs.purpose);
  });

  it("keeps the token for another purpose, and draws one for another generation", async () => {
    const { outs } = await provider.create(inputs);
    const renamed = await provider.update("id", outs, { ...inputs, purpose: "other" });
    assert.equal(renamed.outs["value"], outs["value"]);
    const drawn = await provider.update("id", outs, { ...inputs, generation: 1 });
    assert.notEqual(drawn.outs["value"], outs["value"]);
    assert.deepEqual(await provider.diff("id", outs, inputs), { changes: false });
  });
});

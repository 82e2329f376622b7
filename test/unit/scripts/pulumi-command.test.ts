import assert from "node:assert/strict";
import { planInterrupt } from "../../../scripts/lib/pulumi-command.ts";

describe("planInterrupt", () => {
  it("asks gently, then firmly, then kills", () => {
    assert.deepEqual(
      [1, 2, 3, 4].map((count) => planInterrupt(count).signal),
      ["SIGINT", "SIGINT", "SIGKILL", "SIGKILL"],
    );
  });

  it("says each time what happens next", () => {
    assert.match(planInterrupt(1).advice, /again to stop at once/);
    assert.match(planInterrupt(2).advice, /make up.*make down/);
  });
});

import assert from "node:assert/strict";
import { GroundworkError } from "../../../../providers/errors.ts";
import { patient, startDeadline } from "../../../../providers/k3s-cluster/effects/guests.ts";

const failure = (code: string): GroundworkError =>
  new GroundworkError({ code, message: "It failed.", next: "Try again." });

describe("patient", function () {
  this.timeout(5000);

  /** Fails with these, one a time, and then works. */
  const work = (codes: string[]): (() => Promise<string>) => {
    const left = [...codes];
    return () => {
      const code = left.shift();
      return code === undefined ? Promise.resolve("done") : Promise.reject(failure(code));
    };
  };

  it("does again what broke off with its connection", async () => {
    const tried = patient(work(["host-connection-lost", "host-unreachable"]), startDeadline(60));
    assert.equal(await tried(), "done");
  });

  it("gives up at once where somebody answered, or time is up", async () => {
    for (const [code, seconds] of [
      ["command-failed", 60],
      ["host-key-changed", 60],
      ["command-timed-out", 60],
      ["host-connection-lost", 0],
    ] as const)
      await assert.rejects(patient(work([code]), startDeadline(seconds)), { code });
  });
});

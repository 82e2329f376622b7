import * as assert from "node:assert/strict";
import type { CloudInitStatus } from "../../../../providers/machine-ready/core/cloud-init-status.ts";
import type { Sighting } from "../../../../providers/machine-ready/core/sighting.ts";
import {
  planWatch,
  type Verdict,
  type Watch,
} from "../../../../providers/machine-ready/core/watch.ts";

/** The verdict after the last of these sightings, each so many seconds after the start. */
function verdictAfter(...sightings: [seconds: number, sighting: Sighting][]): Verdict {
  let watch: Watch | undefined;
  let verdict: Verdict | undefined;
  for (const [seconds, sighting] of sightings) {
    const next = planWatch(watch, sighting, {
      now: 5_000 + seconds * 1000,
      toleranceMs: 30_000,
      expectedFingerprint: "SHA256:pinned",
      address: "10.0.0.5",
      user: "deploy",
    });
    ({ watch, verdict } = next);
  }
  assert.ok(verdict);
  return verdict;
}

const status = (given: Partial<CloudInitStatus>): Sighting => ({
  kind: "status",
  status: { state: "done", errors: [], warnings: [], ...given },
});
const wrongKey: Sighting = { kind: "wrong-host-key", fingerprint: "SHA256:other" };
const code = (verdict: Verdict): string =>
  verdict.kind === "failed" ? verdict.code : verdict.kind;

describe("planWatch", () => {
  it("waits for as long as nothing answers, and tries again within a second", () => {
    for (const sighting of [
      { kind: "silent", detail: "" },
      { kind: "refused" },
      { kind: "starting", detail: "" },
    ] as const) {
      const verdict = verdictAfter([0, sighting], [3000, sighting]);
      assert.ok(verdict.kind === "wait" && verdict.delayMs <= 1000 && verdict.phase !== "");
    }
  });

  it("bears another host key for a moment, then says both", () => {
    assert.equal(code(verdictAfter([0, wrongKey], [29, wrongKey])), "wait");
    const verdict = verdictAfter([0, wrongKey], [30, wrongKey]);
    assert.ok(verdict.kind === "failed");
    assert.equal(verdict.code, "wrong-host-key");
    assert.match(verdict.reason, /10\.0\.0\.5.*SHA256:other.*SHA256:pinned/);
  });

  it("starts to count anew when something else was seen in between", () => {
    const verdict = verdictAfter(
      [0, wrongKey],
      [20, { kind: "refused" }],
      [25, wrongKey],
      [40, wrongKey],
    );
    assert.equal(code(verdict), "wait");
  });

  it("bears a user who is not known yet, and no longer than a host key", () => {
    const denied: Sighting = { kind: "denied" };
    assert.equal(code(verdictAfter([0, denied], [29, denied])), "wait");
    assert.equal(code(verdictAfter([0, denied], [31, denied])), "ssh-denied");
  });

  it("is ready once cloud-init is done, with its warnings", () => {
    assert.deepEqual(verdictAfter([0, status({ warnings: ["WARNING: x"] })]), {
      kind: "ready",
      warnings: ["WARNING: x"],
    });
  });

  it("waits while cloud-init runs or has not begun", () => {
    assert.equal(code(verdictAfter([0, status({ state: "waiting" })])), "wait");
    const verdict = verdictAfter([0, status({ state: "running", stage: "modules-final" })]);
    assert.ok(verdict.kind === "wait" && verdict.phase.includes("modules-final"));
  });

  it("fails at once with everything that cloud-init says", () => {
    const verdict = verdictAfter([
      0,
      status({ state: "error", errors: ["one", "two"], warnings: ["WARNING: three"] }),
    ]);
    assert.ok(verdict.kind === "failed");
    assert.equal(verdict.code, "cloud-init-failed");
    assert.match(verdict.reason, /one; two; WARNING: three/);
  });

  it("fails at once where cloud-init is disabled or missing", () => {
    assert.equal(code(verdictAfter([0, status({ state: "disabled" })])), "cloud-init-disabled");
    assert.equal(code(verdictAfter([0, { kind: "no-cloud-init" }])), "cloud-init-missing");
  });
});

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { ApiSighting } from "../../../../providers/k3s-cluster/core/observed.ts";
import { firstNodes } from "../../../../providers/k3s-cluster/effects/observe.ts";

describe("asking a cluster's servers", () => {
  const answer: ApiSighting = { kind: "answers", nodes: [], coreDns: 0 };
  const silence: ApiSighting = { kind: "silent", detail: "away" };

  it("waits for none of them once one has answered", async () => {
    const away = sleep(60_000, silence, { ref: false });
    assert.equal(await firstNodes([away, Promise.resolve(answer)]), answer.nodes);
  });

  it("waits for the one that answers, whatever the others say before", async () => {
    const nodes = await firstNodes([Promise.resolve(silence), sleep(20, answer)]);
    assert.equal(nodes, answer.nodes);
  });

  it("tells that none answers", async () => {
    assert.equal(await firstNodes([Promise.resolve(silence), sleep(20, silence)]), undefined);
  });

  it("does not take what is no silence for one", async () => {
    const broken = Promise.reject(new Error("broken"));
    await assert.rejects(firstNodes([broken, Promise.resolve(silence)]), /broken/);
  });
});

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { ApiSighting } from "../../../../providers/k3s-cluster/core/observed.ts";
import { chooseAnswer } from "../../../../providers/k3s-cluster/effects/first-answer.ts";

describe("asking a cluster's servers", () => {
  const answer: ApiSighting = { kind: "answers", nodes: [], coreDns: 0 };
  const silence: ApiSighting = { kind: "silent", detail: "away" };
  /** What a server called so says after so many milliseconds. */
  const look = (name: string, milliseconds: number, sighting: ApiSighting) =>
    sleep(milliseconds, [name, sighting] as [string, ApiSighting], { ref: false });
  const away = look("away", 60_000, silence);

  it("waits for none that is away once another has answered", async () => {
    const found = await chooseAnswer([away, look("two", 0, answer), away], 20);
    assert.equal(found?.server, "two");
  });

  it("takes the first in order of those that answer, though it is not the quickest", async () => {
    const found = await chooseAnswer([look("one", 20, answer), look("two", 0, answer)], 10_000);
    assert.equal(found?.server, "one");
  });

  it("waits for the one that answers, whatever the others say before", async () => {
    const looks = [look("one", 0, silence), look("two", 20, answer), look("three", 0, silence)];
    assert.deepEqual(await chooseAnswer(looks, 0), { server: "two", nodes: [] });
  });

  it("tells that none answers", async () => {
    const looks = [look("one", 0, silence), look("two", 20, silence)];
    assert.equal(await chooseAnswer(looks, 0), undefined);
  });

  it("does not take what is no silence for one", async () => {
    const broken = Promise.reject(new Error("broken"));
    await assert.rejects(chooseAnswer([broken, look("two", 0, silence)], 0), /broken/);
  });
});

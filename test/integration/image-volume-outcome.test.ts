import * as assert from "node:assert/strict";
import type { PopulateOutcome } from "../../providers/image-volume/core/outcome.ts";
import type { PlanSummary } from "../../providers/image-volume/core/summary.ts";
import * as provider from "../../providers/image-volume/provider.ts";
import { type ImageVolumeLab, type Made } from "../support/image-volume-lab.ts";
import { useImageVolumeLab } from "../support/image-volume-suite.ts";

describe("what an image volume's plan said and what happened", function () {
  this.timeout(120_000);
  let lab: ImageVolumeLab;

  useImageVolumeLab({ sizeMiB: 1024 }, (made) => {
    lab = made;
  });

  const outcomeOf = ({ outs }: Pick<Made, "outs">): PopulateOutcome =>
    outs["lastPopulate"] as PopulateOutcome;

  /** Fails unless what happened is what the plan said. */
  function assertKept(made: Made): void {
    const plan = made.inputs["plan"] as PlanSummary;
    const { cache, steps, bytesFetched, bytesWritten, at } = outcomeOf(made);
    assert.deepEqual(
      { cache, bytesToFetch: bytesFetched, bytesToWrite: bytesWritten },
      { cache: plan.cache, bytesToFetch: plan.bytesToFetch, bytesToWrite: plan.bytesToWrite },
    );
    assert.deepEqual(
      steps.map(({ step }) => step),
      plan.steps,
    );
    assert.ok(Math.abs(Date.now() - Date.parse(at)) < 60_000, at);
    const seconds = steps.reduce((sum, step) => sum + step.seconds, 0);
    assert.ok(seconds > 0 && seconds < 120, String(seconds));
  }

  it("are the same cold, warm, without an image, and for another image", async () => {
    const image = await lab.image();
    const args = lab.args(image);
    const cold = await lab.create(args);
    assertKept(cold);
    assertKept(await lab.create(lab.args(image)));
    assertKept(await lab.create(lab.args(undefined)));
    const other = await lab.image();
    assertKept(await lab.update(cold, { ...args, image: lab.args(other)["image"] }));
  });

  it("stays as it was when the volume only grows, and when it is read", async () => {
    const image = await lab.image();
    const args = lab.args(image);
    const made = await lab.create(args);
    const grown = await lab.update(made, { ...args, sizeGiB: 0.25 });
    assert.ok(grown.changed);
    assert.deepEqual(outcomeOf(grown), outcomeOf(made));
    const { props = {} } = await provider.read(grown.id, grown.outs);
    assert.deepEqual(outcomeOf({ outs: props }), outcomeOf(made));
  });

  it("count one fetch for two volumes at once, and a broken attempt's bytes", async () => {
    const image = await lab.image({ dataMiB: 8 });
    let cut = false;
    lab.front.fault = ({ method, path, range }) => {
      if (cut || method !== "GET" || path !== `/images/${image.key}` || range === "bytes=0-4095")
        return;
      cut = true;
      return { cutAfterBytes: 3 * 2 ** 20 };
    };
    const both = await Promise.all([lab.create(lab.args(image)), lab.create(lab.args(image))]);
    const outcomes = both.map(outcomeOf);
    assert.deepEqual(outcomes.map(({ cache }) => cache).sort(), ["hit", "miss"]);
    const fetched = outcomes.reduce((sum, { bytesFetched }) => sum + bytesFetched, 0);
    assert.equal(fetched, image.bytes);
  });
});

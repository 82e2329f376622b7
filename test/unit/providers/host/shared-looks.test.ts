import assert from "node:assert/strict";
import { SharedLooks } from "../../../../providers/host/effects/shared-looks.ts";

describe("looks at hosts that are shared", () => {
  let begun = 0;
  let looks: SharedLooks<number>;
  const begin = (): Promise<number> => Promise.resolve(++begun);

  beforeEach(() => {
    begun = 0;
    looks = new SharedLooks();
  });

  it("serve all who ask for the same host at once", async () => {
    assert.deepEqual(await Promise.all([looks.take("a", begin), looks.take("a", begin)]), [1, 1]);
    assert.equal(await looks.take("b", begin), 2);
  });

  it("begin anew when that is asked for, and serve that look from then on", async () => {
    await looks.take("a", begin);
    assert.equal(await looks.take("a", begin, { fresh: true }), 2);
    assert.equal(await looks.take("a", begin), 2);
  });

  it("begin anew for a host that has changed", async () => {
    await looks.take("a", begin);
    looks.forget("a");
    assert.equal(await looks.take("a", begin), 2);
  });

  it("begin anew after a while", async () => {
    const brief = new SharedLooks<number>(0.02);
    await brief.take("a", begin);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(await brief.take("a", begin), 2);
  });
});

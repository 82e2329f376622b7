import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { useComposeLab, failureOf } from "../../support/compose-lab.ts";
import { until } from "../../support/until.ts";

describe("a deployment of a Compose project whose host loses power", function () {
  this.timeout(300_000);
  const lab = useComposeLab();

  beforeEach(() => lab().reset());

  const reported = (step: string) => (): boolean => lab().reported.includes(`tiny: ${step}`);
  // Not the moment at which the engine removes a container: Docker 20.10 may then keep its port for ever.
  const moments = {
    "while the new project is checked": reported("check"),
    "at the switch": reported("up"),
    "during the smoke test": reported("smoke"),
  };

  for (const [moment, condition] of Object.entries(moments))
    it(`comes to its end with the next run: ${moment}`, async () => {
      await lab().deploy();
      lab().exec("web", "sh", "-c", "echo kept >/data/file && sync");
      lab().write("www/index.html", "second page\n");
      lab().write("check", "#!/bin/sh\nsleep 1\n", 0o755);
      lab().write("smoke", "#!/bin/sh\nsleep 2\n", 0o755);
      lab().slowDown();
      const more = { checkScript: "check", smokeScript: "smoke" };
      lab().reported.length = 0;
      const cut = failureOf(lab().deploy(more));
      await until(condition, moment);
      await lab().engine.cutPower();
      assert.equal((await cut).code, "host-connection-lost");
      assert.deepEqual(lab().containers(), {}, "something survived");

      await lab().deploy(more);
      assert.equal(lab().page(), "second page");
      assert.equal(lab().exec("web", "cat", "/data/file"), "kept");
      assert.deepEqual((await lab().plan(more)).steps, []);
      assert.equal(fs.existsSync(path.join(lab().store, "state.json.new")), false);
      assert.equal(fs.existsSync(path.join(lab().store, "reserve")), false);
    });
});

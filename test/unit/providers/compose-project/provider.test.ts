import assert from "node:assert/strict";
import * as path from "node:path";
import { argumentsSchema } from "../../../../providers/compose-project/core/arguments.ts";
import { check, diff } from "../../../../providers/compose-project/provider.ts";
import { unknownValue } from "../../../../providers/handler.ts";

const folder = path.resolve(import.meta.dirname, "../../../../stacks/observability");
const args = argumentsSchema.parse({
  ...{ stack: "no-such-stack", host: "machine:vm1", folder, path: "/home/deploy/lab/app" },
  ...{ project: "lab", owner: "groundwork/lab", secrets: { PASSWORD: "hidden" } },
});
const state = { ...args, files: { "compose.yaml": "d 0644" }, plan: { steps: [] } };

describe("check of a Compose project", () => {
  it("tells the files, and that the plan hangs on a machine that is not there", async () => {
    const { inputs, failures } = await check({}, args);
    assert.deepEqual(failures, []);
    assert.match(JSON.stringify(inputs["plan"]), /not there yet/);
    assert.ok("compose.yaml" in (inputs["files"] as object));
    assert.ok(!(".env" in (inputs["files"] as object)));
  });

  it("asks nobody while arguments are unknown", async () => {
    const { inputs, failures } = await check({}, { ...args, triggers: unknownValue });
    assert.deepEqual(failures, []);
    assert.match(JSON.stringify(inputs["plan"]), /not there yet/);
  });

  it("tells every wrong argument by its path", async () => {
    const { failures } = await check({}, { ...args, path: "/", images: "borrow" });
    assert.equal(failures.length, 2);
    assert.match(failures.map(({ reason }) => reason).join(), /path: .*images: /s);
  });

  it("refuses a folder that lacks its Compose file", async () => {
    await assert.rejects(check({}, { ...args, composeFiles: ["absent.yaml"] }), {
      code: "project-folder",
    });
  });
});

describe("diff of a Compose project", () => {
  it("sees no change where nothing changed, and none in arguments that got a default since", async () => {
    const { smokeArguments, ...older } = state;
    assert.deepEqual(smokeArguments, []);
    for (const before of [state, older])
      assert.equal((await diff("id", before, state)).changes, false);
  });

  it("takes a plan that has something to do for a change", async () => {
    const plan = { steps: ["composeUp"], start: ["web"] };
    assert.equal((await diff("id", state, { ...state, plan })).changes, true);
  });

  it("moves the project when its place changes, and updates it for all else", async () => {
    const moved = await diff("id", state, { ...state, path: "/srv/lab/app" });
    assert.deepEqual(moved.replaces, ["path"]);
    const secret = await diff("id", state, { ...state, secrets: { PASSWORD: "other" } });
    assert.deepEqual([secret.changes, secret.replaces], [true, []]);
    const quiet = await diff("id", state, { ...state, engine: "docker" });
    assert.equal(quiet.changes, false);
  });
});

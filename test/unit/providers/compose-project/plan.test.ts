import assert from "node:assert/strict";
import fc from "fast-check";
import { manifestDigest, sha256 } from "../../../../providers/compose-project/core/manifest.ts";
import { mountedDigest } from "../../../../providers/compose-project/core/model.ts";
import type { ObservedProject } from "../../../../providers/compose-project/core/observed.ts";
import {
  needsModel,
  planProject,
  refuseForeign,
  type Wishes,
} from "../../../../providers/compose-project/core/plan.ts";

const file = (path: string, content = path) => ({
  path,
  sha256: sha256(content),
  mode: "0644" as const,
});
const files = [file("compose.yaml"), file("web/page"), file("worker/conf")];
const wishes: Wishes = {
  ...{ images: "preload", checkScript: undefined, smokeChecks: [], smokeScript: undefined },
  ...{ engine: "present", owner: "p/s", path: "/home/deploy/app" },
};
const service = (name: string, mounts: string[], manifest = files) => ({
  ...{ name, image: `${name}:1`, builds: false, definition: `definition-of-${name}`, mounts },
  files: mountedDigest(manifest, mounts),
});
const modelOf = (manifest = files) => ({
  services: [service("web", ["web"], manifest), service("worker", ["worker"], manifest)],
});
const container = (name: string, status = "running", exitCode = 0) => ({
  ...{ id: `id-${name}`, service: name, status, exitCode },
  health: "" as const,
});

/** A host on which the files run, all well. */
function settled(more: Partial<ObservedProject> = {}): ObservedProject {
  return {
    ...{ engine: "28.0", compose: "2.40.3", owner: "p/s", occupied: false, release: "r1" },
    ...{ stateDigest: "d", files, ended: [], disks: [] },
    state: {
      ...{ version: 1, release: "r1", digest: manifestDigest(files) },
      services: Object.fromEntries(
        modelOf().services.map(({ name, definition, files: mounted }) => [
          name,
          { definition, files: mounted },
        ]),
      ),
    },
    containers: [container("web"), container("worker")],
    ...more,
  };
}

describe("planProject", () => {
  it("has nothing to do where the files run", () => {
    assert.deepEqual(planProject(files, settled(), wishes, undefined).summary, { steps: [] });
    assert.equal(needsModel(files, settled()), false);
  });

  it("makes everything on an empty host", () => {
    const host: ObservedProject = {
      ...{ engine: "28.0", compose: "2.40.3", occupied: false, stateDigest: "" },
      ...{ files: [], containers: [], ended: [], disks: [] },
    };
    assert.equal(needsModel(files, host), true);
    assert.deepEqual(planProject(files, host, wishes, modelOf()).summary, {
      steps: ["loadImages", "syncFiles", "checkConfiguration", "composeUp"],
      upload: files.map(({ path }) => path),
      create: ["web", "worker"],
    });
  });

  it("installs Docker where it is missing, and cannot tell the services then", () => {
    const nothing = { files: [], containers: [], ended: [], disks: [] };
    const bare = { occupied: false, stateDigest: "", ...nothing };
    const { summary } = planProject(files, bare, { ...wishes, images: "pull" }, undefined);
    assert.deepEqual(summary.steps, [
      ...["installEngine", "syncFiles", "pullImages", "checkConfiguration", "composeUp"],
    ]);
  });

  it("touches the one service that mounts what changed", () => {
    const now = [files[0] ?? file(""), file("web/page", "new"), files[2] ?? file("")];
    const { summary, stage } = planProject(now, settled(), wishes, modelOf(now));
    assert.deepEqual(summary.recreate, ["web"]);
    assert.deepEqual(summary.upload, ["web/page"]);
    assert.equal(stage, true);
  });

  it("stages the tree anew after a deployment that was cut", () => {
    const host = settled({ release: "r2" });
    assert.equal(needsModel(files, host), true);
    const { summary, stage } = planProject(files, host, wishes, modelOf());
    assert.equal(stage, true);
    assert.deepEqual(summary.recreate, undefined);
  });

  it("starts what is down without a new release, and lets ended one-shot services be", () => {
    const down = settled({ containers: [container("web"), container("worker", "exited", 137)] });
    const { summary, stage } = planProject(files, down, wishes, undefined);
    assert.equal(stage, false);
    assert.deepEqual(summary.start, ["worker"]);
    const done = settled({
      containers: [container("web"), container("worker", "exited", 0)],
      ended: ["worker"],
    });
    assert.deepEqual(planProject(files, done, wishes, undefined).summary.steps, []);
  });

  it("discards the container of a service whose files somebody changed on the host", () => {
    const there = [...files.slice(0, 2), file("worker/conf", "by hand")];
    const plan = planProject(files, settled({ files: there }), wishes, modelOf());
    assert.deepEqual(plan.tampered, ["worker"]);
    assert.deepEqual(plan.summary.recreate, ["worker"]);
  });

  it("takes away what is not in the project any more", () => {
    const fewer = files.slice(0, 2);
    const { summary } = planProject(fewer, settled(), wishes, {
      services: [service("web", ["web"], fewer)],
    });
    assert.deepEqual(summary.remove, ["worker/conf"]);
    assert.deepEqual(summary.takeAway, ["worker"]);
  });

  it("finds nothing to do after what it planned was done, whatever was there", () => {
    const entry = fc.record({
      path: fc.constantFrom("a", "b", "c/d", "compose.yaml"),
      sha256: fc.constantFrom(sha256("1"), sha256("2")),
      mode: fc.constantFrom("0644" as const, "0755" as const),
    });
    const tree = fc.uniqueArray(entry, { selector: ({ path }) => path });
    fc.assert(
      fc.property(tree, tree, (wanted, there) => {
        const { changes } = planProject(wanted, settled({ files: there }), wishes, modelOf());
        const byPath = new Map<string, (typeof wanted)[number]>(
          wanted.map((each) => [each.path, each]),
        );
        const after = new Map<string, (typeof wanted)[number]>(there.map((e) => [e.path, e]));
        for (const path of changes.remove) after.delete(path);
        for (const path of [...changes.upload, ...changes.remode]) {
          const next = byPath.get(path);
          assert.ok(next);
          after.set(path, next);
        }
        assert.equal(manifestDigest([...after.values()]), manifestDigest(wanted));
      }),
    );
  });
});

describe("refuseForeign", () => {
  it("refuses somebody else's project and a path that is taken", () => {
    assert.throws(() => refuseForeign("h", wishes, settled({ owner: "p/other" })), {
      code: "project-not-ours",
    });
    assert.throws(() => refuseForeign("h", wishes, settled({ occupied: true })), {
      code: "path-occupied",
    });
  });
});

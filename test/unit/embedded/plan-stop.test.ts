import assert from "node:assert/strict";
import type { Observed } from "../../../embedded/core/observed.ts";
import { planStop } from "../../../embedded/core/plan-stop.ts";
import { bare, furnished, loop, options, running, without } from "./world.ts";

const stepsOf = (observed: Observed, foldersExist: boolean): string[] =>
  planStop(options, observed, foldersExist).map((step) => step.do);

describe("planStop", () => {
  it("ends everything of ours, guests first and files last", () => {
    assert.deepEqual(stepsOf(running, true), [
      "destroyDomains",
      "endProcesses",
      "removeNamespace",
      "removeVolumeGroup",
      "detachLoops",
      "removeGroupTraces",
      "endProcesses",
      "removeFolders",
    ]);
  });

  it("has nothing to do where nothing is ours", () => {
    assert.deepEqual(stepsOf(bare, false), []);
    assert.deepEqual(stepsOf(furnished, false), []);
  });

  it("touches no more than our own record where all was there before us", () => {
    assert.deepEqual(stepsOf(furnished, true), ["removeFolders"]);
  });

  it("leaves a namespace of the same name that is not ours", () => {
    const hypervisor = { ...bare.hypervisor, namespace: { state: "present", inode: 5 } } as const;
    assert.deepEqual(stepsOf({ ...bare, hypervisor }, false), []);
  });

  for (const loops of [running.volumeGroup.loops, []])
    it(`leaves a volume group of the same name that does not lie in our file, ${loops.length === 0 ? "detached" : "attached"}, and its links`, () => {
      const group = { physicalVolumes: ["/dev/loop9"], tags: ["groundwork"] };
      const volumeGroup = { ...running.volumeGroup, group, loops, ownGroups: [] };
      const steps = stepsOf({ ...running, volumeGroup }, true);
      assert.ok(!steps.includes("removeVolumeGroup"));
      assert.ok(!steps.includes("removeGroupTraces"));
    });

  it("removes the links of a group that went with its file's device", () => {
    const volumeGroup = { ...without(running.volumeGroup, "group"), loops: [], ownGroups: [] };
    assert.ok(stepsOf({ ...running, volumeGroup }, true).includes("removeGroupTraces"));
  });

  it("removes the group in a file that was removed, and lets go of the file", () => {
    const rest = without(running.volumeGroup, "fileBytes");
    const volumeGroup = { ...rest, loops: [loop({ deleted: true })] };
    const steps = stepsOf({ ...bare, volumeGroup }, false);
    assert.deepEqual(steps, ["removeVolumeGroup", "detachLoops", "removeGroupTraces"]);
  });

  it("removes the group in our file under the name that it has", () => {
    const rest = without(running.volumeGroup, "group");
    const group = { name: "earlier", loop: "/dev/loop0" };
    const volumeGroup = { ...rest, ownGroups: [group] };
    const steps = planStop(options, { ...bare, volumeGroup }, false);
    assert.deepEqual(steps, [
      { do: "removeVolumeGroup", group },
      { do: "detachLoops", loops: volumeGroup.loops },
      { do: "removeGroupTraces", group: "earlier" },
      { do: "removeGroupTraces", group: "lab" },
    ]);
  });
});

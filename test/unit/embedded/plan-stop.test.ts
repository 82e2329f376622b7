import assert from "node:assert/strict";
import { planStop } from "../../../embedded/core/plan-stop.ts";
import { bare, furnished, loop, running, without } from "./world.ts";

const stepsOf = (...args: Parameters<typeof planStop>): string[] =>
  planStop(...args).map((step) => step.do);

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

  it("leaves a volume group of the same name that does not lie in our file", () => {
    const group = { physicalVolumes: ["/dev/sda2"], tags: [] };
    const volumeGroup = { ...running.volumeGroup, group };
    assert.ok(!stepsOf({ ...running, volumeGroup }, true).includes("removeVolumeGroup"));
  });

  it("lets go of a file that was removed, without asking LVM about it", () => {
    const rest = without(running.volumeGroup, "fileBytes");
    const volumeGroup = { ...rest, loops: [loop({ deleted: true })] };
    const steps = stepsOf({ ...bare, volumeGroup }, false);
    assert.deepEqual(steps, ["detachLoops", "removeGroupTraces"]);
  });
});

import * as assert from "node:assert/strict";
import { type Comparable, diffVolume } from "../../../../providers/image-volume/core/diff.ts";
import { sameValue } from "../../../../providers/handler.ts";

const [digest, older] = ["a".repeat(64), "b".repeat(64)];
const image = { endpoint: "http://store:9000", bucket: "images", key: "debian.qcow2" };
const state: Comparable = {
  hypervisorUri: "qemu+ssh://root@hv1/system",
  volumeGroup: "lab",
  volumeName: "vm1-root",
  sizeGiB: 4,
  image,
  owner: "p/s",
  adopt: false,
  digest,
  plan: { cache: "miss", digest, digestSource: "sidecar", steps: ["createVolume"] },
};
const hostOf = (uri: string): string => new URL(uri).hostname;
const settled = { cache: "hit", digest, digestSource: "sidecar", bytesToFetch: 0, steps: [] };

describe("diffVolume", () => {
  const table: [string, Comparable, Comparable, string[], string[]][] = [
    ["ignores the plan", state, { ...state, plan: settled }, [], []],
    ["ignores adopt", state, { ...state, adopt: true }, [], []],
    [
      "replaces for another host",
      state,
      { ...state, hypervisorUri: "qemu+ssh://root@hv2/system" },
      ["hypervisorUri"],
      [],
    ],
    [
      "keeps the volume for another way to the same host",
      state,
      { ...state, hypervisorUri: "qemu+ssh://admin@hv1/system?keyfile=/k" },
      [],
      ["hypervisorUri"],
    ],
    [
      "replaces for another volume group",
      state,
      { ...state, volumeGroup: "other" },
      ["volumeGroup"],
      [],
    ],
    ["replaces for another name", state, { ...state, volumeName: "vm2-root" }, ["volumeName"], []],
    ["changes the size in place", state, { ...state, sizeGiB: 5 }, [], ["sizeGiB"]],
    ["changes the owner in place", state, { ...state, owner: "p/new" }, [], ["owner"]],
    [
      "tends to a volume that somebody else has taken",
      { ...state, foreignOwner: "p/other" },
      state,
      [],
      ["owner"],
    ],
    [
      "repopulates for another digest",
      state,
      { ...state, plan: { ...settled, digest: older } },
      [],
      ["image"],
    ],
    [
      "repopulates what a refresh found unmarked",
      { ...state, digest: undefined },
      state,
      [],
      ["image"],
    ],
    [
      "ignores the same image in another place",
      state,
      { ...state, image: { ...image, bucket: "mirror" } },
      [],
      [],
    ],
    [
      "repopulates when the image is taken away",
      state,
      { ...state, image: undefined },
      [],
      ["image"],
    ],
    [
      "repopulates when there is an image at last",
      { ...state, image: undefined, digest: undefined },
      state,
      [],
      ["image"],
    ],
    [
      "writes the content anew for another generation",
      state,
      { ...state, generation: 1 },
      [],
      ["generation"],
    ],
    ["takes no generation for the first one", state, { ...state, generation: 0 }, [], []],
    [
      "ignores how domains are stopped",
      state,
      { ...state, allowStop: true, shutdownTimeoutSeconds: 5, startAgain: false },
      [],
      [],
    ],
    ["records how to wipe", state, { ...state, wipe: "none" }, [], ["wipe"]],
    ["takes no wipe for the default one", state, { ...state, wipe: "zero" }, [], []],
    [
      "goes by the arguments when nobody knows the digest: the same",
      state,
      { ...state, plan: { cache: "unknown", digestSource: "sidecar" } },
      [],
      [],
    ],
    [
      "goes by the arguments when nobody knows the digest: another",
      state,
      {
        ...state,
        image: { ...image, key: "ubuntu.qcow2" },
        plan: { cache: "unknown", digestSource: "sidecar" },
      },
      [],
      ["image"],
    ],
  ];
  for (const [title, olds, news, replaces, updates] of table)
    it(title, () => {
      assert.deepEqual(diffVolume(olds, news, hostOf, sameValue), { replaces, updates });
    });
});

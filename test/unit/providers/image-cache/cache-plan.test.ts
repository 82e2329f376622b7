import * as assert from "node:assert/strict";
import {
  type CachePlanRow,
  diffCache,
  locateImage,
} from "../../../../providers/image-cache/core/cache-plan.ts";
import { sameValue } from "../../../../providers/handler.ts";

const image = { endpoint: "http://store:9000", bucket: "images", key: "debian.qcow2" };
const args = { hypervisorUris: ["qemu:///system"], images: [image] };
const row = (cache: CachePlanRow["cache"]): CachePlanRow => ({
  ...{ hypervisorUri: "qemu:///system", image: locateImage(image), cache },
});
const diff = (olds: object, news: object) => diffCache({ ...olds }, { ...news }, sameValue);

describe("diffCache", () => {
  it("has nothing to do where every host has every image", () => {
    const plan = [row("hit")];
    assert.deepEqual(diff({ ...args, plan }, { ...args, plan }), []);
  });

  it("fetches again what left a cache", () => {
    assert.deepEqual(diff(args, { ...args, plan: [row("hit"), row("miss")] }), ["plan"]);
  });

  it("does nothing about a host that did not answer", () => {
    assert.deepEqual(diff(args, { ...args, plan: [row("unknown")] }), []);
  });

  it("looks after other hosts and images in place", () => {
    const news = { hypervisorUris: ["qemu+ssh://hv1/system"], images: [] };
    assert.deepEqual(diff(args, { ...news, plan: [row("hit")] }), ["hypervisorUris", "images"]);
  });
});

describe("locateImage", () => {
  it("keeps equal names in two stores and two buckets apart", () => {
    const others = [image, { ...image, bucket: "b2b" }, { ...image, endpoint: "http://other" }];
    assert.equal(new Set(others.map(locateImage)).size, 3);
  });
});

import assert from "node:assert/strict";
import { planImage } from "../../../../components/planning/image.ts";

const store = { endpoint: "http://minio:9000", region: "eu-1", bucket: "images" };

describe("planImage", () => {
  it("names the object after the image", () => {
    assert.deepEqual(planImage(store, [{ name: "debian" }], "debian"), {
      ...store,
      key: "debian.qcow2",
    });
  });

  it("takes a pinned digest along, in lower case", () => {
    const image = planImage(store, [{ name: "debian", sha256: "AB".repeat(32) }], "debian");
    assert.equal(image?.sha256, "ab".repeat(32));
  });

  it("knows no image that is not configured", () => {
    assert.equal(planImage(store, [{ name: "debian" }], "ubuntu"), undefined);
  });
});

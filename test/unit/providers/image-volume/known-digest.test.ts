import * as assert from "node:assert/strict";
import { urlKeyOf } from "../../../../providers/image-volume/core/known-digest.ts";

describe("urlKeyOf", () => {
  const image = { endpoint: "http://store:9000", bucket: "images", key: "a.qcow2" };
  const object = { etag: "e1", bytes: 5 };

  it("is the same for the same object, and no other", () => {
    const key = urlKeyOf(image, object);
    assert.match(key, /^[0-9a-f]{64}$/);
    assert.equal(urlKeyOf({ ...image }, { ...object }), key);
    const others = [
      urlKeyOf({ ...image, endpoint: "http://store:9001" }, object),
      urlKeyOf({ ...image, bucket: "images2" }, object),
      urlKeyOf({ ...image, key: "b.qcow2" }, object),
      urlKeyOf({ ...image, bucket: "images/a", key: "qcow2" }, object),
      urlKeyOf(image, { ...object, etag: "e2" }),
      urlKeyOf(image, { ...object, bytes: 6 }),
    ];
    assert.equal(new Set([key, ...others]).size, 7);
  });
});

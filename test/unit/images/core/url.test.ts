import * as assert from "node:assert/strict";
import { planRequest, showUrl } from "../../../../images/core/url.ts";

const signed = "https://us%40er:pa%3Ass@host.example:8443/a/b.img?X-Amz-Signature=abc#f";

describe("showUrl", () => {
  it("leaves out what may be secret", () => {
    assert.equal(showUrl(signed), "https://host.example:8443/a/b.img");
  });
});

describe("planRequest", () => {
  it("puts user and password into a header, and keeps the query", () => {
    assert.deepEqual(planRequest(signed), {
      url: "https://host.example:8443/a/b.img?X-Amz-Signature=abc#f",
      headers: { authorization: `Basic ${Buffer.from("us@er:pa:ss").toString("base64")}` },
    });
  });

  it("adds no header where there are none", () => {
    const url = "https://host.example/b.img?a=b";
    assert.deepEqual(planRequest(url), { url, headers: {} });
  });
});

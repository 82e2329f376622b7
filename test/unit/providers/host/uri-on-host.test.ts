import assert from "node:assert/strict";
import { parseLibvirtUri } from "../../../../providers/host/core/connection.ts";
import { uriOnHost } from "../../../../providers/host/core/uri-on-host.ts";

describe("uriOnHost", () => {
  for (const [uri, own] of [
    ["qemu:///system", "qemu:///system"],
    ["qemu+unix:///system?socket=/run/x", "qemu+unix:///system?socket=/run/x"],
    ["qemu+ssh://root@hv1:2222/system?keyfile=/k", "qemu:///system"],
    ["qemu+ssh://root@hv1/system?keyfile=/k&socket=/run/x", "qemu+unix:///system?socket=/run/x"],
  ] as const)
    it(`is ${own} for ${uri}`, () => {
      assert.equal(uriOnHost(parseLibvirtUri(uri)), own);
    });
});

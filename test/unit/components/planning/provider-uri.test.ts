import assert from "node:assert/strict";
import { planProviderUri } from "../../../../components/planning/provider-uri.ts";

describe("planProviderUri", () => {
  const remote = "qemu+ssh://root@hv1/system";
  for (const [uri, wanted] of [
    ["qemu:///system", "qemu:///system"],
    [`${remote}?keyfile=/k`, `${remote}?keyfile=/k`],
    [
      `${remote}?known_hosts=/a%20b&keyfile=/k`,
      `${remote}?known_hosts=/a%20b&keyfile=/k&knownhosts=%2Fa%20b`,
    ],
    [`${remote}?known_hosts=/h&knownhosts=/other`, `${remote}?known_hosts=/h&knownhosts=/other`],
  ] as const)
    it(`is ${wanted} for ${uri}`, () => {
      assert.equal(planProviderUri(uri), wanted);
    });
});

import assert from "node:assert/strict";
import { type Config, parseConfig } from "../../../config.ts";
import { chooseCluster } from "../../../scripts/lib/clusters.ts";

describe("chooseCluster", () => {
  /** A stack whose clusters have these names. */
  const stackOf = (...names: string[]): { stack: string; config: Config } => ({
    stack: "lab",
    config: { ...parseConfig({}), clusters: names.map((name) => ({ name }) as never) },
  });

  it("takes the one that is named, or the only one", () => {
    assert.equal(chooseCluster(stackOf("one", "two"), "two", "etcd").name, "two");
    assert.equal(chooseCluster(stackOf("one"), undefined, "etcd").name, "one");
  });

  const refusals: [string, readonly string[], string | undefined, RegExp][] = [
    [
      "an open choice",
      ["one", "two"],
      undefined,
      /one, two\. .*--cluster=name in ARGS of `make etcd`/,
    ],
    ["a name that is none", ["one"], "two", /clusters one, and no "two"\. .*--cluster=name/],
    [
      "a stack without clusters",
      [],
      undefined,
      /has no cluster\. Describe one in groundwork:clusters/,
    ],
  ];
  for (const [what, names, name, message] of refusals)
    it(`refuses ${what}, and says what helps`, () => {
      assert.throws(() => chooseCluster(stackOf(...names), name, "etcd"), {
        ...{ code: "unknown-cluster", message },
      });
    });
});

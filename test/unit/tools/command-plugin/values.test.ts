import assert from "node:assert/strict";
import fc from "fast-check";
import {
  buildArchive,
  buildAsset,
  isSame,
  isSecret,
  isUnknown,
  makeSecret,
  readSource,
  reveal,
  secretTexts,
  type Value,
} from "../../../../tools/command-plugin/values.ts";

const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const json = fc.jsonValue() as fc.Arbitrary<Value>;

describe("makeSecret and reveal", () => {
  it("give back what was hidden, at any depth", () => {
    fc.assert(
      fc.property(json, (value) => {
        assert.ok(isSecret(makeSecret(value)));
        assert.ok(
          isSame(reveal([makeSecret(value), { deep: makeSecret(value) }]), [
            value,
            { deep: value },
          ]),
        );
      }),
    );
  });

  it("hide a secret only once", () => {
    assert.deepEqual(makeSecret(makeSecret("x")), makeSecret("x"));
  });
});

describe("isUnknown", () => {
  it("finds an unknown value in lists, objects and secrets", () => {
    for (const value of [unknown, [1, unknown], { a: { b: unknown } }, makeSecret(unknown)])
      assert.ok(isUnknown(value));
    assert.ok(!isUnknown(["known", { a: null }]));
  });
});

describe("secretTexts", () => {
  it("collects the texts of secrets alone", () => {
    assert.deepEqual(secretTexts({ a: "shown", b: makeSecret({ key: "k", more: ["m"] }) }), [
      "k",
      "m",
    ]);
  });
});

describe("isSame", () => {
  it("compares any value with itself as the same, secret or not", () => {
    fc.assert(fc.property(json, (value) => isSame(value, makeSecret(value))));
  });

  it("compares assets by their content, wherever they lie", () => {
    assert.ok(isSame(buildAsset("/here", "hash"), buildAsset("/there", "hash")));
    assert.ok(!isSame(buildAsset("/here", "hash"), buildAsset("/here", "other")));
  });

  it("sees a property that came, went or changed", () => {
    assert.ok(!isSame({ a: 1 }, { a: 1, b: 2 }));
    assert.ok(!isSame([1, 2], [1]));
    assert.ok(isSame({ a: 1, b: undefined }, { a: 1 }));
  });
});

describe("readSource", () => {
  it("tells assets, archives and other values apart", () => {
    assert.deepEqual(readSource(makeSecret(buildAsset("/file", "h"))), {
      kind: "asset",
      path: "/file",
      hash: "h",
    });
    assert.deepEqual(readSource(buildArchive({})), { kind: "archive" });
    assert.equal(readSource("/file"), undefined);
  });
});

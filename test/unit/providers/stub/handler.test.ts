import * as fc from "fast-check";
import * as assert from "node:assert/strict";
import { z } from "zod";
import { checkArgs, isUnknown, sameValue, unknownValue } from "../../../../providers/handler.ts";

const schema = z.strictObject({ name: z.string(), sizes: z.array(z.number()) });

describe("isUnknown", () => {
  it("finds the unknown at any depth", () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 5 }), (path) => {
        const nested = path.reduceRight<unknown>(
          (inner, key) => ({ [key]: [inner] }),
          unknownValue,
        );
        assert.equal(isUnknown(nested), true);
      }),
    );
  });

  it("finds none in values that Pulumi knows", () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => assert.equal(isUnknown(value), false)));
  });
});

describe("checkArgs", () => {
  it("returns arguments that are known and right", () => {
    const args = { name: "a", sizes: [1] };
    assert.deepEqual(checkArgs(schema, args), { args, failures: [] });
  });

  it("waits for arguments that are not known yet", () => {
    assert.deepEqual(checkArgs(schema, { name: "a", sizes: [unknownValue] }), { failures: [] });
    assert.deepEqual(checkArgs(schema, { name: unknownValue, sizes: [] }), { failures: [] });
  });

  it("tells every wrong argument with its path, beside unknown ones too", () => {
    const { args, failures } = checkArgs(schema, { name: unknownValue, sizes: ["x", 1], other: 1 });
    assert.equal(args, undefined);
    assert.deepEqual(
      failures.map(({ reason }) => reason.split(":")[0]),
      ["sizes.0", "the arguments"],
    );
    assert.match(failures[1]?.reason ?? "", /other/);
  });
});

describe("sameValue", () => {
  it("holds for a value and its copy with the keys in another order", () => {
    const reversed = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.map(reversed)
        : typeof value === "object" && value !== null
          ? Object.fromEntries(
              Object.entries(value)
                .reverse()
                .map(([key, inner]) => [key, reversed(inner)]),
            )
          : value;
    fc.assert(fc.property(fc.jsonValue(), (value) => assert.ok(sameValue(value, reversed(value)))));
  });

  it("agrees with the comparison of node:assert for plain values", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 2 }), fc.jsonValue({ maxDepth: 2 }), (one, other) => {
        const canonical = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
        let same = true;
        try {
          assert.deepStrictEqual(canonical(one), canonical(other));
        } catch {
          same = false;
        }
        assert.equal(sameValue(canonical(one), canonical(other)), same);
      }),
    );
  });

  it("tells a list from an object, and counts an absent key as an undefined one", () => {
    assert.equal(sameValue([1], { 0: 1 }), false);
    assert.equal(sameValue({ a: undefined }, {}), true);
    assert.equal(sameValue({ a: 1 }, { b: 1 }), false);
  });
});

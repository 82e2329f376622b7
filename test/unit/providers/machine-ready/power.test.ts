import * as assert from "node:assert/strict";
import { judgePower, parseDomainList } from "../../../../providers/machine-ready/core/power.ts";

describe("a domain's power", () => {
  const list = parseDomainList("aa-1\nbb-2\ncc-3\n\noff:\nbb-2\ncc-3\n\n");
  const nobody = new Set<string>();

  it("is off only where libvirt has it, it does not run, and nobody else is to start it", () => {
    const judge = (uuid: string): string => judgePower(list, new Set(["cc-3"]), uuid);
    assert.deepEqual(["aa-1", "bb-2", "cc-3"].map(judge), ["other", "off", "other"]);
  });

  it("is missing where libvirt has no such domain, and in an empty list", () => {
    assert.equal(judgePower(list, nobody, "dd-4"), "missing");
    assert.equal(judgePower(parseDomainList("\noff:\n"), nobody, ""), "missing");
  });
});

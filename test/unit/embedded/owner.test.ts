import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { readOwner, takeName } from "../../../embedded/effects/owner.ts";
import { makeScratch, type Scratch } from "../../support/scratch.ts";

describe("takeName", () => {
  let scratch: Scratch;
  let file: string;
  let [home, other] = ["", ""];
  beforeEach(() => {
    scratch = makeScratch("owner");
    fs.mkdirSync(path.join(scratch.folder, "run"));
    file = path.join(scratch.folder, "run/owner");
    [home, other] = [path.join(scratch.folder, "home"), path.join(scratch.folder, "other")];
    fs.mkdirSync(path.join(other, "embedded"), { recursive: true });
  });
  afterEach(() => scratch.remove());

  it("takes a free name, and keeps it", () => {
    for (let run = 0; run < 2; run += 1) {
      takeName(file, "lab", home);
      assert.equal(readOwner(file), home);
    }
    assert.deepEqual(fs.readdirSync(path.dirname(file)), ["owner"]);
  });

  it("leaves it to a home that was faster", () => {
    takeName(file, "lab", other);
    assert.throws(() => takeName(file, "lab", home), { code: "embedded-name-taken" });
    assert.equal(readOwner(file), other);
  });

  for (const [what, content] of [
    ["an empty file", ""],
    ["a home that is gone", "/nowhere/.groundwork"],
  ] as const)
    it(`takes what ${what} says for nobody's`, () => {
      fs.writeFileSync(file, content);
      takeName(file, "lab", home);
      assert.equal(readOwner(file), home);
    });

  it("counts an empty file as none", () => {
    fs.writeFileSync(file, "");
    assert.equal(readOwner(file), undefined);
  });
});

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { readDependencies } from "../../../../tools/language-host/dependencies.ts";

describe("readDependencies", () => {
  let folder: string;
  const write = (name: string, content: object): void => {
    const file = path.join(folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, JSON.stringify(content));
  };
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-dependencies-"));
  });
  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  it("gives the installed version, also of what lies further up, else the range", () => {
    write("node_modules/up/package.json", { version: "2.0.0" });
    write("lab/node_modules/near/package.json", { version: "1.2.3" });
    write("lab/package.json", {
      dependencies: { near: "^1", up: "*" },
      devDependencies: { absent: "~9" },
    });
    assert.deepEqual(readDependencies(path.join(folder, "lab")), [
      { name: "absent", version: "~9" },
      { name: "near", version: "1.2.3" },
      { name: "up", version: "2.0.0" },
    ]);
  });

  it("gives none where there is no package.json", () => {
    assert.deepEqual(readDependencies(folder), []);
  });
});

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { readProjectFolder } from "../../../../providers/compose-project/effects/folder.ts";

describe("readProjectFolder", () => {
  let folder: string;
  const write = (name: string, text = name, mode = 0o640): void => {
    const file = path.join(folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
    fs.chmodSync(file, mode);
  };
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-folder-"));
  });
  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  it("takes every file with a mode that no umask changes, without what .syncignore names", async () => {
    write("compose.yaml");
    write("conf/with space.yml", "", 0o600);
    write("smoke", "", 0o700);
    write("node_modules/x/index.js");
    write("conf/tests/a");
    write(".syncignore", "node_modules/\ntests/\n");
    write(".git/config");
    const files = await readProjectFolder(folder);
    assert.deepEqual(
      files.map(({ path: name, mode }) => [name, mode]),
      [
        ["compose.yaml", "0644"],
        ["conf/with space.yml", "0644"],
        ["smoke", "0755"],
      ],
    );
  });

  it("refuses names that are ours, links, and line breaks in names", async () => {
    for (const [make, code] of [
      [() => write(".env", "PASSWORD=x"), "reserved-file"],
      [() => write("compose.groundwork.yaml"), "reserved-file"],
      [() => fs.symlinkSync("/etc/passwd", path.join(folder, "link")), "project-folder"],
      [() => write("a\nb"), "project-folder"],
    ] as const) {
      make();
      await assert.rejects(readProjectFolder(folder), { code });
      for (const name of fs.readdirSync(folder)) fs.rmSync(path.join(folder, name));
    }
  });

  it("says which folder cannot be read", async () => {
    await assert.rejects(readProjectFolder(path.join(folder, "absent")), /absent.*cannot be read/);
  });
});

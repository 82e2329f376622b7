import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { controlPathFor } from "../../../../providers/host/effects/control-path.ts";

describe("controlPathFor", () => {
  let folder: string;
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "gw-"));
  });
  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  it("gives every URI a socket of its own in a private folder", () => {
    const one = controlPathFor("qemu+ssh://a/system", [folder]);
    const other = controlPathFor("qemu+ssh://b/system", [folder]);
    assert.notEqual(one, other);
    assert.equal(fs.statSync(path.dirname(one)).mode & 0o777, 0o700);
  });

  it("keeps short enough for a socket, ssh's temporary suffix included", () => {
    const long = path.join(folder, "x".repeat(100));
    fs.mkdirSync(long);
    const chosen = controlPathFor("qemu+ssh://a/system", [long, folder]);
    assert.ok(chosen.startsWith(`${folder}/groundwork-ssh-`));
    assert.ok(chosen.length + 17 <= 107);
  });

  it("passes over a folder that cannot be written", () => {
    const chosen = controlPathFor("qemu+ssh://a/system", ["/proc/none", folder]);
    assert.ok(chosen.startsWith(folder));
  });

  it("refuses a folder that others can use", () => {
    const open = path.join(folder, `groundwork-ssh-${String(process.getuid?.() ?? 0)}`);
    fs.mkdirSync(open);
    fs.chmodSync(open, 0o777);
    assert.throws(() => controlPathFor("qemu+ssh://a/system", [folder]), {
      code: "unsafe-control-folder",
    });
  });

  it("refuses a link that leads elsewhere", () => {
    fs.symlinkSync("/tmp", path.join(folder, `groundwork-ssh-${String(process.getuid?.() ?? 0)}`));
    assert.throws(() => controlPathFor("qemu+ssh://a/system", [folder]), {
      code: "unsafe-control-folder",
    });
  });
});

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { execa } from "execa";
import { endLingering } from "../../../scripts/lib/lingering.ts";

describe("endLingering", () => {
  let folder: string;
  let results: string;
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-lingering-"));
    results = path.join(folder, "results");
  });
  afterEach(() => fs.rmSync(folder, { recursive: true }));

  const run = (script: string) => execa("bash", ["-c", script, "bash", results], { reject: false });

  it("ends what goes on after its results", async () => {
    const child = run('echo done >"$1"; exec sleep 1000');
    assert.equal(await endLingering(child, results, 0.1), true);
    assert.equal((await child).signal, "SIGTERM");
  });

  it("leaves alone what ends soon after them", async () => {
    const child = run('echo done >"$1"; sleep 0.2');
    assert.equal(await endLingering(child, results, 60), false);
    assert.equal((await child).exitCode, 0);
  });

  it("leaves alone what ends without any", async () => {
    const child = run("exit 3");
    assert.equal(await endLingering(child, results, 0), false);
    assert.equal((await child).exitCode, 3);
  });
});

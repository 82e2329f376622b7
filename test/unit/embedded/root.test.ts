import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { ensureEmbedded, stopEmbedded } from "../../../embedded/index.ts";
import { options } from "./world.ts";

describe("ensureEmbedded and stopEmbedded", () => {
  const getuid = process.getuid?.bind(process);
  afterEach(() => {
    Object.assign(process, { getuid });
  });

  it("refuse to begin without root, before they look at anything", async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-root-"));
    try {
      Object.assign(process, { getuid: () => 1000 });
      for (const run of [ensureEmbedded, stopEmbedded])
        await assert.rejects(
          run({ ...options, home: path.join(folder, "home") }, () => undefined),
          { code: "not-root", message: /sudo env "PATH=\$PATH"/ },
        );
      assert.deepEqual(fs.readdirSync(folder), []);
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });
});

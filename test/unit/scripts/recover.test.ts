import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { parseConfig } from "../../../config.ts";
import type { Context } from "../../../scripts/lib/context.ts";
import { settlePending } from "../../../scripts/lib/recover.ts";
import { removeHome } from "../../../scripts/lib/remove-home.ts";
import { toolPaths } from "../../../scripts/lib/tools-paths.ts";

describe("what a killed run left in the home", () => {
  let folder = "";
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-recover-"));
  });
  afterEach(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });

  describe("settlePending", () => {
    const urn = "urn:pulumi:local::groundwork::pulumi-nodejs:dynamic:Resource::slow";
    const resource = { urn, type: "pulumi-nodejs:dynamic:Resource" };
    const exported = {
      deployment: { resources: [], pending_operations: [{ resource, type: "creating" }] },
    };

    it("leaves no state behind when it cannot be imported", async () => {
      const environment = { PULUMI_HOME: path.join(folder, "pulumi") };
      const { pulumi } = toolPaths(environment);
      fs.mkdirSync(path.dirname(pulumi), { recursive: true });
      const script = `#!/bin/sh\n[ "$2" = export ] || exit 1\necho '${JSON.stringify(exported)}'\n`;
      fs.writeFileSync(pulumi, script, { mode: 0o755 });
      const home = path.join(folder, "home");
      fs.mkdirSync(home);
      const context: Context = {
        ...{ stack: "local", checkout: folder, stackFile: "", cache: folder },
        ...{ home, config: parseConfig({}), environment },
      };
      await assert.rejects(
        settlePending(context, {} as never, () => undefined),
        { code: "pulumi-failed", message: /pulumi stack import/ },
      );
      assert.deepEqual(fs.readdirSync(home), []);
    });
  });

  describe("removeHome", () => {
    const fill = (...names: string[]): void => {
      for (const name of names) fs.writeFileSync(path.join(folder, name), "");
    };

    it("removes what is ours, also of a recovery that was killed, and the folder", async () => {
      fill("passphrase", "cache.rates", ".import-local.json");
      assert.deepEqual(await removeHome(folder, []), []);
      assert.ok(!fs.existsSync(folder));
      assert.deepEqual(await removeHome(folder, []), []);
    });

    it("leaves what is not, and what is kept", async () => {
      fill("passphrase", "notes", "import-me.json");
      assert.deepEqual(await removeHome(folder, ["passphrase"]), ["import-me.json", "notes"]);
      assert.deepEqual(fs.readdirSync(folder), ["import-me.json", "notes", "passphrase"]);
    });
  });
});

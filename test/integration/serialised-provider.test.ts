import { execa } from "execa";
import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { requireNeeds } from "../support/needs.ts";
import { PulumiProject } from "../support/pulumi-project.ts";

const checkout = path.resolve(import.meta.dirname, "../..");

interface ExportedResource {
  type: string;
  outputs?: Record<string, unknown>;
  inputs?: Record<string, unknown>;
}

describe("a serialised provider", function () {
  this.timeout(180_000);
  let project: PulumiProject;
  let clear = (): Promise<void> => Promise.resolve();
  let exported: string;
  let privateKey: string;
  let publicKey: string;

  const program = (comment: string): void =>
    project.program(
      { KeyPair: "providers/key-pair/resource.ts" },
      `const pair = new KeyPair("pair", { comment: ${JSON.stringify(comment)} });
     export const publicKey = pair.publicKey; export const privateKey = pair.privateKey;`,
    );

  before(async function () {
    requireNeeds(this, ["pulumi"]);
    project = new PulumiProject();
    clear = async () => {
      await project.pulumi("destroy", "--yes", "--skip-preview");
      project.remove();
    };
    program("first comment");
    await project.succeed("stack", "init", "test");
    await project.succeed("up", "--yes", "--skip-preview");
    exported = await project.succeed("stack", "export");
    publicKey = await project.succeed("stack", "output", "publicKey");
    privateKey = await project.succeed("stack", "output", "privateKey", "--show-secrets");
  });

  after(() => clear());

  const resource = (): ExportedResource => {
    const { deployment } = JSON.parse(exported) as {
      deployment: { resources: ExportedResource[] };
    };
    const found = deployment.resources.find(({ type }) => type.endsWith(":KeyPair"));
    assert.ok(found);
    return found;
  };

  it("keeps at most 3 KiB of code in the state, and no path of this machine", () => {
    const provider = String(resource().inputs?.["__provider"]);
    const bytes = Buffer.byteLength(provider);
    assert.ok(bytes <= 3072, `__provider has ${String(bytes)} bytes`);
    assert.ok(!provider.includes(checkout));
    assert.ok(provider.includes(`import("@groundwork/providers/register.js")`));
  });

  it("makes a key that OpenSSH accepts and shows only its public half", async () => {
    assert.match(publicKey, /^ssh-ed25519 \S+ first comment$/);
    const file = path.join(project.folder, "key");
    fs.writeFileSync(file, `${privateKey.trim()}\n`, { mode: 0o600 });
    const derived = await execa("ssh-keygen", ["-y", "-f", file]);
    assert.equal(derived.stdout.split(" ")[1], publicKey.split(" ")[1]);
    fs.rmSync(file);
    assert.equal(await project.succeed("stack", "output", "privateKey"), "[secret]");
  });

  it("leaves no line of the private key anywhere in the state", () => {
    const text = exported + project.stateFiles();
    assert.ok(text.includes(publicKey), "the search would find the public key");
    const lines = privateKey.trim().split("\n").slice(1, -1);
    // The file begins with the public half, so only what comes after it is secret.
    const secret = lines.slice(2);
    assert.ok(secret.length >= 2);
    for (const line of secret) assert.ok(!text.includes(line), `found ${line.slice(0, 8)}…`);
  });

  it("changes nothing on the second up", async () => {
    await project.succeed("up", "--yes", "--skip-preview", "--expect-no-changes");
  });

  it("changes nothing when only the code in the state is older", async () => {
    const older = exported.replaceAll("exports.handler", "// an older stub\\nexports.handler");
    assert.notEqual(older, exported);
    project.write("older.json", older);
    await project.succeed("stack", "import", "--file", path.join(project.folder, "older.json"));
    await project.succeed("preview", "--refresh", "--expect-no-changes");
  });

  it("changes a comment in place and keeps the key", async () => {
    program("second comment");
    await project.succeed("up", "--yes", "--skip-preview");
    assert.equal(
      await project.succeed("stack", "output", "publicKey"),
      publicKey.replace("first", "second"),
    );
  });

  it("says what is wrong in one paragraph, without a stack trace", async () => {
    program("two\nlines");
    const result = await project.pulumi("preview");
    assert.notEqual(result.exitCode, 0);
    assert.match(result.all, /comment: must be one line of printable characters/);
    assert.doesNotMatch(result.all, /^\s+at .*:\d+:\d+/m);
    program("second comment");
  });
});

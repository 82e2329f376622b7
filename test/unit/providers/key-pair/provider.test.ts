import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { unknownValue } from "../../../../providers/handler.ts";
import * as keyPair from "../../../../providers/key-pair/provider.ts";

const folders = (): string[] =>
  fs.readdirSync(os.tmpdir()).filter((name) => name.startsWith("groundwork-key-"));

describe("KeyPair", () => {
  it("accepts a comment that is not known yet and refuses one of two lines", async () => {
    assert.deepEqual((await keyPair.check({}, { comment: unknownValue })).failures, []);
    const { failures } = await keyPair.check({}, { comment: "a\nssh-ed25519 AAAA evil" });
    assert.match(failures[0]?.reason ?? "", /^comment: must be one line/);
  });

  it("changes only when its comment does, and never replaces the key", async () => {
    const olds = { comment: "a", publicKey: "p", privateKey: "s" };
    assert.deepEqual(await keyPair.diff("id", olds, { comment: "a" }), { changes: false });
    assert.deepEqual(await keyPair.diff("id", olds, { comment: "b" }), { changes: true });
    assert.deepEqual(await keyPair.diff("id", olds, { comment: unknownValue }), { changes: true });
  });

  it("makes another key each time", async () => {
    const one = await keyPair.create({ comment: "-N x" });
    const other = await keyPair.create({ comment: "-N x" });
    assert.match(String(one.outs["publicKey"]), /^ssh-ed25519 \S+ -N x$/);
    assert.notEqual(one.id, other.id);
    assert.notEqual(one.outs["privateKey"], other.outs["privateKey"]);
  });

  it("makes the same key from the same seed, another one for another purpose, as OpenSSH reads it", async () => {
    const seed = "0123456789abcdef0123456789abcdef";
    const make = async (purpose: string, secret = seed): Promise<Record<string, unknown>> =>
      (await keyPair.create({ comment: "vm1", seed: secret, purpose })).outs;
    const one = await make("host key of lab/vm1");
    assert.deepEqual(await make("host key of lab/vm1"), one);
    const others = [
      await make("host key of lab/vm2"),
      await make("host key of lab/vm1", `${seed}x`),
    ];
    assert.equal(new Set([one, ...others].map(({ publicKey }) => publicKey)).size, 3);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "derived-"));
    try {
      const file = path.join(folder, "key");
      fs.writeFileSync(file, String(one["privateKey"]), { mode: 0o600 });
      const told = execFileSync("ssh-keygen", ["-y", "-P", "", "-f", file]).toString().trim();
      assert.equal(told, one["publicKey"]);
      execFileSync("ssh-keygen", ["-Y", "sign", "-n", "test", "-f", file, file], {
        stdio: "ignore",
      });
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });

  it("keeps its key when a seed comes or goes", async () => {
    const { id, outs } = await keyPair.create({ comment: "a" });
    const news = { comment: "a", seed: "0123456789abcdef0123456789abcdef", purpose: "p" };
    assert.deepEqual(await keyPair.diff(id, outs, news), { changes: false });
    const updated = await keyPair.update(id, outs, { ...news, comment: "b" });
    assert.equal(updated.outs["publicKey"], `ssh-ed25519 ${id} b`);
  });

  it("keeps the key when it gets another comment", async () => {
    const { id, outs } = await keyPair.create({ comment: "before" });
    const updated = await keyPair.update(id, outs, { comment: "after" });
    assert.equal(updated.outs["publicKey"], `ssh-ed25519 ${id} after`);
    assert.match(String(updated.outs["privateKey"]), /^-----BEGIN OPENSSH PRIVATE KEY-----\n/);
  });

  it("leaves no file behind, even when ssh-keygen fails", async () => {
    const before = folders();
    await keyPair.create({ comment: "" });
    await assert.rejects(
      keyPair.update("id", { privateKey: "not a key" }, { comment: "x" }),
      (error: Error) => error.name === "GroundworkError" && !error.message.includes("not a key\n"),
    );
    const mine = folders().filter((name) => !before.includes(name));
    assert.deepEqual(mine, []);
  });
});

import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
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

import assert from "node:assert/strict";
import { changedInputs, checkInputs, parseType } from "../../../../tools/command-plugin/inputs.ts";
import { isSecret, makeSecret } from "../../../../tools/command-plugin/values.ts";

const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

describe("parseType", () => {
  it("reads the type out of a URN, below a component too", () => {
    const parent = "groundwork:index:VirtualMachine$command:remote:Command";
    assert.equal(parseType(`urn:pulumi:local::groundwork::${parent}::vm1`), "remote:Command");
  });

  it("refuses a resource that the stand-in does not have, and says which it has", () => {
    assert.throws(
      () => parseType("urn:pulumi:local::groundwork::command:remote:CopyFile::vm1"),
      /no resource "command:remote:CopyFile".*remote:CopyToRemote/,
    );
  });
});

describe("checkInputs", () => {
  it("takes unknown and secret values wherever they stand", () => {
    const { failures } = checkInputs("remote:Command", {
      connection: unknown,
      create: makeSecret("true"),
      environment: { A: unknown },
    });
    assert.deepEqual(failures, []);
  });

  it("makes the connection secret", () => {
    const { inputs } = checkInputs("remote:Command", { connection: { host: "vm1" } });
    assert.ok(isSecret(inputs["connection"]));
  });

  it("asks for the inputs that a copy cannot do without", () => {
    const { failures } = checkInputs("remote:CopyToRemote", {});
    assert.deepEqual(
      failures.map(({ property, reason }) => `${property} ${reason}`),
      ["connection is required", "source is required", "remotePath is required"],
    );
  });

  it("passes over what the engine adds", () => {
    assert.deepEqual(checkInputs("local:Command", { version: "1.2.1", __x: 1 }).failures, []);
  });
});

describe("changedInputs", () => {
  it("sees no change in outputs or in secrecy", () => {
    const state = { create: "true", stdout: "made", stderr: "" };
    assert.deepEqual(changedInputs("local:Command", state, { create: makeSecret("true") }), []);
  });

  it("names what changed, came, went or is not known yet", () => {
    const state = { create: "a", dir: "/x", triggers: [1] };
    const news = { create: "b", stdin: "in", triggers: [unknown] };
    const changed = changedInputs("local:Command", state, news);
    assert.deepEqual(changed.sort(), ["create", "dir", "stdin", "triggers"]);
  });
});

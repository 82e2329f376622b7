import * as assert from "node:assert/strict";
import { runHandler } from "../../../../providers/runtime.ts";
import { run } from "../../../../providers/register.js";
import { handlerStub } from "../../../../providers/stub.ts";

const request = { config: { get: () => undefined } };

describe("handlerStub", () => {
  it("is one object per handler, for Pulumi serialises each object once", () => {
    assert.equal(handlerStub("key-pair"), handlerStub("key-pair"));
    assert.notEqual(handlerStub("key-pair"), handlerStub("host-facts"));
  });

  it("runs the handler of its name", async () => {
    const stub = handlerStub("key-pair");
    await stub.configure({ config: { get: () => undefined, require: () => "" } });
    const { failures } = await stub.check({}, { comment: 5 });
    assert.match(failures?.[0]?.reason ?? "", /^comment: /);
  });
});

describe("runHandler", () => {
  before(async () => {
    await runHandler("key-pair", "configure", [request]);
  });

  it("refuses a name that is not on the list, whatever it would load", async () => {
    for (const name of ["nothing", "../errors", "__proto__", "constructor"])
      await assert.rejects(run(name, "check", {}, {}), /no dynamic provider/);
  });

  it("waits for configure before it does anything else", async () => {
    const order: string[] = [];
    const checked = runHandler("host-facts", "diff", ["id", {}, {}]).then(() => order.push("diff"));
    await new Promise((resolve) => setTimeout(resolve, 200));
    order.push("configure");
    await runHandler("host-facts", "configure", [request]);
    await checked;
    assert.deepEqual(order, ["configure", "diff"]);
  });

  it("hands over neither arguments nor state with the serialised provider in them", async () => {
    const news = { comment: "a", __provider: "code" };
    assert.deepEqual(await runHandler("key-pair", "check", [{}, news]), {
      inputs: { comment: "a" },
      failures: [],
    });
    const older = { comment: "a", __provider: "older code" };
    assert.deepEqual(await runHandler("key-pair", "diff", ["id", older, news]), { changes: false });
  });

  it("takes the state as true where a handler reads nothing, and removes nothing where it removes nothing", async () => {
    const props = { comment: "a", publicKey: "b", __provider: "code" };
    assert.deepEqual(await runHandler("key-pair", "read", ["id", props]), {
      id: "id",
      props: { comment: "a", publicKey: "b" },
    });
    assert.equal(await runHandler("key-pair", "delete", ["id", props]), undefined);
  });

  it("turns an error of ours in check into a failure, which Pulumi shows without a stack", async () => {
    await runHandler("host-facts", "configure", [request]);
    const news = {
      hypervisorUri: "qemu+unix:///system?socket=/nowhere/sock",
      requestedAccelerator: "qemu",
    };
    const result = (await runHandler("host-facts", "check", [{}, news])) as {
      failures: { property: string; reason: string }[];
    };
    assert.equal(result.failures.length, 1);
    assert.match(result.failures[0]?.reason ?? "", /libvirt does not answer|qemu-system-x86_64/);
  });
});

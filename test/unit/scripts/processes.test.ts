import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { endProcesses, parseParent, readProcesses } from "../../../scripts/lib/processes.ts";

describe("parseParent", () => {
  it("is not misled by what a program calls itself", () => {
    assert.equal(parseParent("4321 (a) b (c)) S 17 4321 1"), 17);
  });
});

describe("readProcesses", () => {
  it("finds this process with its parent, command and home folder", async () => {
    const child = spawn("sleep", ["60"], { env: { GROUNDWORK_HOME: "/lab" }, stdio: "ignore" });
    try {
      await once(child, "spawn");
      const found = (await readProcesses()).find(({ pid }) => pid === child.pid);
      assert.deepEqual(found, {
        pid: child.pid,
        parent: process.pid,
        command: ["sleep", "60"],
        home: "/lab",
      });
    } finally {
      child.kill("SIGKILL");
    }
  });
});

describe("endProcesses", () => {
  it("ends a process, and returns when it is gone", async () => {
    const child = spawn("sleep", ["60"], { stdio: "ignore" });
    const ended = once(child, "exit");
    await once(child, "spawn");
    assert.ok(child.pid !== undefined);
    await endProcesses([child.pid]);
    assert.deepEqual(await ended, [null, "SIGTERM"]);
  });

  it("does not mind a process that is gone already", async () => {
    await endProcesses([2 ** 22 - 1]);
  });
});

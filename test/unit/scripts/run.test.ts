import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const checkout = path.resolve(import.meta.dirname, "../../..");

describe("scripts/run", () => {
  let folder = "";
  const write = (name: string, text: string): void => {
    fs.writeFileSync(path.join(folder, name), text, { mode: 0o755 });
  };
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-run-"));
    for (const name of ["scripts", "bin"]) fs.mkdirSync(path.join(folder, name));
    fs.copyFileSync(path.join(checkout, "scripts/run"), path.join(folder, "scripts/run"));
    write("scripts/setup", '#!/bin/sh\necho "setup $*"\n');
    write("bin/node", '#!/bin/sh\nshift\necho "$*"\n');
    write("Pulumi.lab.yaml", "config:\n  groundwork:embedded:\n    name: lab\n");
    write("Pulumi.remote.yaml", "config: {}\n");
  });
  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  /** Runs it as that user; `setup` and `node` only say with what they were started. */
  function run(uid: number, ...args: string[]) {
    write("bin/id", `#!/bin/sh\necho ${String(uid)}\n`);
    return spawnSync(path.join(folder, "scripts/run"), args, {
      encoding: "utf8",
      env: { PATH: `${folder}/bin:${process.env["PATH"] ?? ""}` },
    });
  }

  it("sets up, then runs the program with its options", () => {
    const { status, stdout, stderr } = run(0, "up", "--stack", "lab", "--json");
    assert.deepEqual([status, stderr], [0, "setup \n"]);
    assert.equal(stdout, "scripts/up.ts --stack lab --json\n");
  });

  it("refuses before set-up what needs root and has it not", () => {
    const { status, stdout, stderr } = run(1000, "up", "--stack", "lab");
    assert.deepEqual([status, stdout], [1, ""]);
    assert.match(stderr, /^What groundwork:embedded .* needs root.*sudo env "PATH=\$PATH"/);
  });

  it("sets up no more than it takes to print help, and asks no root for that", () => {
    for (const option of ["--help", "-h"]) {
      const { status, stderr } = run(1000, "up", "--stack", "lab", option);
      assert.deepEqual([status, stderr], [0, "setup --npm\n"]);
    }
  });

  it("asks no root of other stacks and programs", () => {
    assert.equal(run(1000, "up", "--stack", "remote").status, 0);
    assert.equal(run(1000, "preview", "--stack", "lab").status, 0);
  });
});

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const checkout = path.resolve(import.meta.dirname, "../../..");

describe("scripts/setup", () => {
  let folder = "";
  const write = (name: string, text: string): void => {
    fs.writeFileSync(path.join(folder, name), text, { mode: 0o755 });
  };
  /** A command that writes down with what it was called. */
  const stub = (name: string, does = ""): void => {
    write(`bin/${name}`, `#!/bin/bash\necho "${name} $*" >>${folder}/calls\n${does}\n`);
  };
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-setup-"));
    const frontend = "stacks/observability/frontend";
    for (const name of ["scripts", "bin", "node_modules", "sdks/libvirt", frontend])
      fs.mkdirSync(path.join(folder, name), { recursive: true });
    fs.copyFileSync(path.join(checkout, "scripts/setup"), path.join(folder, "scripts/setup"));
    for (const name of [".", frontend]) write(`${name}/package-lock.json`, "{}");
    stub("node", "[ $1 != --version ] || echo v24.1.0");
    for (const name of ["npm", "apt-get", "apt-cache"]) stub(name);
    stub("dpkg-query", "exit 1"); // no package is installed
    stub("id", "echo 0");
    stub("df", 'printf "Avail\\n99999999\\n"');
  });
  afterEach(() => {
    fs.rmSync(folder, { recursive: true });
  });

  function setUp(...args: string[]) {
    const result = spawnSync(path.join(folder, "scripts/setup"), args, {
      encoding: "utf8",
      env: { PATH: `${folder}/bin:${process.env["PATH"] ?? ""}`, HOME: folder },
    });
    const calls = path.join(folder, "calls");
    return { ...result, calls: fs.existsSync(calls) ? fs.readFileSync(calls, "utf8") : "" };
  }

  it("brings packages, npm packages and tools", () => {
    const { status, stderr, calls } = setUp();
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(calls, /^apt-get update[^]*^apt-get install[^]*^npm ci[^]*^node .*setup-tools/m);
  });

  it("takes a package that is held for installed", () => {
    stub("dpkg-query", `printf '%s\\n' "ii lvm2" "hi python3" "rc procps"`);
    const [, installed = ""] = /^(apt-get install.*)$/m.exec(setUp().calls) ?? [];
    assert.match(installed, / procps /);
    assert.doesNotMatch(installed, / (lvm2|python3) /);
  });

  it("asks for Chromium where apt has it", () => {
    const install = /^apt-get install.* busybox-static/m;
    const has = setUp("--tests").calls;
    assert.match(has, install);
    assert.match(has, /^apt-get install.* chromium /m);
    fs.rmSync(path.join(folder, "calls"));
    stub("apt-cache", "[ $2 != chromium ]");
    const lacks = setUp("--tests").calls;
    assert.match(lacks, install);
    assert.doesNotMatch(lacks, /^apt-get install.* chromium /m);
  });

  it("explains itself with examples, and does nothing", () => {
    const { status, stdout, calls } = setUp("--help");
    assert.deepEqual([status, calls], [0, ""]);
    assert.match(stdout, /^Examples:\n( {2}.*scripts\/setup --.*\n)+$/m);
  });

  it("brings npm packages alone where that is all that is wanted", () => {
    const { status, stderr, calls } = setUp("--npm");
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(calls, /^npm ci/m);
    assert.doesNotMatch(calls, /apt-get|dpkg-query|setup-tools/);
  });
});

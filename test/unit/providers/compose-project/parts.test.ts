import assert from "node:assert/strict";
import { argumentsSchema } from "../../../../providers/compose-project/core/arguments.ts";
import { installError, renderInstall } from "../../../../providers/compose-project/core/engine.ts";
import { renderEnvironmentFile } from "../../../../providers/compose-project/core/manifest.ts";
import {
  parseObserved,
  parseRecords,
} from "../../../../providers/compose-project/core/observed.ts";
import { parseDisks, refuseFullDisk } from "../../../../providers/compose-project/core/room.ts";
import { outcomeError, parseOutcome } from "../../../../providers/compose-project/core/outcome.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const record = (key: string, text: string): string => `@${key}\t${base64(text)}\n`;

describe("argumentsSchema", () => {
  const args = {
    ...{ stack: "lab", host: "local:", folder: "project", path: "/home/deploy/app" },
    ...{ project: "lab", owner: "p/s" },
  };
  const wrong: [string, object][] = [
    ["a path with a parent folder in it", { path: "/home/../etc" }],
    ["a path at the top", { path: "/etc" }],
    ["a path that a shell could misread", { path: "/home/$(reboot)/app" }],
    ["a variable of two lines", { environment: { A: "1\nB=2" } }],
    ["a script outside the project", { smokeScript: "../smoke" }],
    ["a check over https, which it could not make", { smokeChecks: [{ url: "https://h/" }] }],
    ["a name that is no project's", { project: "Lab" }],
  ];
  for (const [what, change] of wrong)
    it(`refuses ${what}`, () => {
      assert.equal(argumentsSchema.safeParse({ ...args, ...change }).success, false);
    });
  it("takes the fewest arguments", () => {
    assert.deepEqual(argumentsSchema.parse(args).composeFiles, ["compose.yaml"]);
  });
});

describe("renderEnvironmentFile", () => {
  it("quotes values so that Compose expands nothing, and cannot be told another project", () => {
    const text = renderEnvironmentFile({
      project: "lab",
      composeFiles: ["compose.yaml", "over.yaml"],
      variables: { COMPOSE_PROJECT_NAME: "other", PASSWORD: 'a$b\'c "d" #e' },
    });
    assert.deepEqual(text.split("\n").slice(1), [
      "COMPOSE_FILE='compose.yaml:over.yaml'",
      "COMPOSE_PROJECT_NAME='lab'",
      "PASSWORD='a$b\\'c \"d\" #e'",
      "",
    ]);
  });
});

describe("parseObserved", () => {
  it("reads files with any name, containers and what is not there", () => {
    const digest = "a".repeat(64);
    const seen = parseObserved(
      record("engine", "28.0.1") +
        record("compose", "2.40.3") +
        record("containers", "1f|web|running|healthy|0\n2f|job|exited||0") +
        record("modes", "644 a b.txt\x00600 .env\x00") +
        record("sums", `${digest}  ./a b.txt\0${digest}  ./.env\0`) +
        "Warning: what a program says beside\n",
    );
    assert.deepEqual(seen.files, [
      { path: "a b.txt", sha256: digest, mode: "0644" },
      { path: ".env", sha256: digest, mode: "0600" },
    ]);
    assert.deepEqual(
      seen.containers.map(({ service, health }) => [service, health]),
      [
        ["web", "healthy"],
        ["job", ""],
      ],
    );
    assert.equal(seen.owner, undefined);
    assert.equal(seen.state, undefined);
  });

  it("refuses a state that nobody wrote so", () => {
    for (const text of ["{}", "not JSON", '{"version":2}', '{"version":1,"release":"../x"}'])
      assert.throws(() => parseObserved(record("state", text)), { code: "bad-deployed-state" });
  });

  it("takes no line of a program for a record", () => {
    assert.deepEqual([...parseRecords("@result done\n@result\tnot base64!\n")], []);
  });
});

describe("refuseFullDisk", () => {
  const mib = 2 ** 20;
  const wish = { project: "lab", host: "vm", releaseBytes: 2 * mib };
  const disk = (freeMib: number, folder = "/var/lib/docker") => ({
    ...{ folder, freeBytes: freeMib * mib },
  });

  it("lets a release be where each disk has room for it and a little more", () => {
    refuseFullDisk(wish, [disk(102), disk(5000)]);
    refuseFullDisk(wish, []);
  });

  it("names the disk, what it has and what it needs", () => {
    assert.throws(() => refuseFullDisk(wish, [disk(5000, "/home"), disk(101)]), {
      code: "disk-nearly-full",
      message: /\/var\/lib\/docker has 101 MiB free, and 102 MiB are needed/,
    });
  });

  it("knows nothing of a disk that could not be looked at", () => {
    assert.deepEqual(parseDisks("4096 /home/a b\n /var/lib/docker\n"), [
      { folder: "/home/a b", freeBytes: 4096 },
    ]);
  });
});

describe("parseOutcome", () => {
  const output =
    record("stage", "up") +
    record("reason", "container lab-web-1 exited (3)") +
    record("failed", `web|exited||3|${base64("no such page\n")}`) +
    record("rollback", "done") +
    record("result", "failed");

  it("tells which service failed, with its log, and that the previous project runs", () => {
    const outcome = parseOutcome(output);
    assert.equal(outcome.kind, "failed");
    const { message } = outcomeError("lab", "vm", outcome);
    assert.match(message, /Service "web" is exited \(exit code 3\)/);
    assert.match(message, /no such page/);
    assert.match(message, /previous project runs again/);
  });

  it("does not take silence for success", () => {
    const outcome = parseOutcome("");
    assert.equal(outcome.kind, "failed");
    assert.match(outcomeError("lab", "vm", outcome).message, /did NOT come up again/);
  });
});

describe("renderInstall", () => {
  it("checks the key of Docker's repository before it trusts it", () => {
    const script = renderInstall("docker");
    const check = script.indexOf("9DC858229FC7DD38854AE2D88D81803C0EBFCD88");
    assert.ok(check > 0 && check < script.indexOf("sources.list.d"));
    assert.match(script, /signed-by=/);
  });

  it("asks before anything is installed whether there is a Compose V2", () => {
    const script = renderInstall("distribution");
    for (const said of ["no-package", "no-compose"])
      assert.ok(script.includes(said) && script.indexOf(said) < script.indexOf("apt install"));
  });

  it("tells what stood in the way and what to do", () => {
    assert.match(installError("vm", "distribution", "no-compose").message, /engine: docker/);
    assert.match(installError("vm", "present", "").message, /engine: distribution/);
    assert.match(installError("vm", "distribution", "no-package").message, /reaches the mirrors/);
  });
});

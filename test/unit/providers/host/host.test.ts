import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { openHost } from "../../../../providers/host/effects/host.ts";

/** Waits until a process has ended; one that nobody has reaped yet has. */
function endsWithin(pid: string, seconds: number): boolean {
  const script = `for _ in $(seq ${String(seconds * 20)}); do
    case "$(ps -o stat= -p ${pid})" in "" | Z*) exit 0 ;; esac; sleep 0.05; done; exit 1`;
  return spawnSync("sh", ["-c", script]).status === 0;
}

describe("openHost for this machine", () => {
  const host = openHost("qemu:///system");

  it("gives standard output as it is, and a long script arrives whole", async () => {
    const long = "x".repeat(200_000);
    const printed = await host.run(`text=${long}; echo "\${#text}"; printf 'ü'`, {
      purpose: "print",
    });
    assert.equal(printed, "200000\nü");
  });

  it("tells lines as they come", async () => {
    const lines: string[] = [];
    await host.run("echo one; echo two", { purpose: "print", onLine: (line) => lines.push(line) });
    assert.deepEqual(lines, ["one", "two"]);
  });

  it("keeps the script and its secrets out of every argument list", async () => {
    const printed = await host.run("secret=s3cr3t-4711; cat /proc/[0-9]*/cmdline | tr '\\0' ' '", {
      purpose: "look",
    });
    assert.ok(printed.includes("head -c"), "the command line itself must be among what was read");
    assert.ok(!printed.includes("s3cr3t-4711"));
  });

  it("says what failed, how, and why, without the secrets", async () => {
    const failing = host.run("echo 'no access for s3cr3t.' >&2; exit 3", {
      purpose: "open the store",
      secrets: ["s3cr3t"],
    });
    await assert.rejects(failing, {
      code: "command-failed",
      message: /Could not open the store on this machine \(exit code 3\): no access for \*\*\*\./,
    });
  });

  it("gives any exit code to those who ask for it, and nothing of its own on stderr", async () => {
    const result = await host.tryRun("exit 7", { purpose: "try" });
    assert.deepEqual(result, { exitCode: 7, stdout: "", stderr: "" });
    assert.equal((await host.tryRun("exit 255", { purpose: "try" })).exitCode, 254);
  });

  it("ends a script that takes too long, with what it started", async () => {
    const began = Date.now();
    let pid = "";
    const late = host.run("sleep 60 & echo $!; wait", {
      purpose: "wait",
      timeoutSeconds: 1,
      onLine: (line) => (pid = line),
    });
    await assert.rejects(late, { code: "command-timed-out" });
    assert.ok(Date.now() - began < 5_000);
    assert.match(pid, /^\d+$/);
    assert.ok(endsWithin(pid, 1));
  });

  it("ends the script when the program that runs it is killed", () => {
    const program = `
      import { openHost } from "./providers/host/effects/host.ts";
      void openHost("qemu:///system").run("echo $BASHPID; exec sleep 60", {
        purpose: "wait",
        onLine: (line) => { process.stdout.write(line, () => process.kill(process.pid, "SIGKILL")); },
      });`;
    const args = ["--import=tsx", "--input-type=module", "-e", program];
    const { stdout } = spawnSync(process.execPath, args, { encoding: "utf8" });
    assert.match(stdout, /^\d+$/);
    assert.ok(endsWithin(stdout, 5));
  });
});

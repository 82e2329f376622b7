import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { type Host, openHost } from "../../providers/host/effects/host.ts";
import { requireNeeds } from "../support/needs.ts";
import { startSshd, type TestSshd } from "../support/sshd.ts";

const purpose = "test the connection";

function statusOf(pid: number): { name: string; parent: number; ended: boolean } {
  const file = `/proc/${String(pid)}/status`;
  const text = fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
  const field = (key: string): string =>
    new RegExp(`^${key}:\\s*(\\S+)`, "m").exec(text)?.[1] ?? "";
  return {
    name: field("Name"),
    parent: Number(field("PPid")),
    ended: ["", "Z"].includes(field("State")),
  };
}

/** The server's process for the connection under which a process runs. */
function connectionOf(pid: number): number {
  for (let at = pid; at > 1; at = statusOf(at).parent) if (statusOf(at).name === "sshd") return at;
  throw new Error(`process ${String(pid)} does not run below sshd`);
}

async function until(met: () => boolean, seconds: number): Promise<boolean> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end;) {
    if (met()) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return met();
}

describe("a host over SSH", function () {
  this.timeout(120_000);
  let sshd: TestSshd;
  let stop: (() => void) | undefined;
  let host: Host;

  before(async function () {
    requireNeeds(this, ["root", "sshd"]);
    sshd = await startSshd();
    stop = () => {
      sshd.stop();
    };
    host = openHost(sshd.uri);
  });
  after(() => {
    stop?.();
  });

  it("gives output and exit code of a script", async () => {
    const script = "echo out; echo err >&2; exit 3";
    assert.deepEqual(await host.tryRun(script, { purpose }), {
      exitCode: 3,
      stdout: "out\n",
      stderr: "err\n",
    });
  });

  it("shares one connection between scripts", async () => {
    const ports = await Promise.all(
      [1, 2, 3].map(() => host.run('echo "$SSH_CONNECTION"', { purpose })),
    );
    assert.equal(new Set(ports).size, 1);
  });

  it("keeps the script and its secrets out of argument lists on both sides", async () => {
    const script = "secret=s3cr3t-0815; cat /proc/[0-9]*/cmdline | tr '\\0' ' '";
    const seen = await host.run(script, { purpose });
    assert.ok(seen.includes("ControlMaster"), "our own ssh must be among what was read");
    assert.ok(!seen.includes("s3cr3t-0815"));
  });

  it("ends what runs there when the connection drops, SIGTERM ignored or not", async () => {
    let pid = 0;
    const lost = host.run("trap '' TERM; echo $BASHPID; while :; do sleep 1; done", {
      purpose,
      onLine: (line) => (pid = Number(line)),
    });
    const failure = assert.rejects(lost, { code: "host-connection-lost" });
    assert.ok(await until(() => pid > 0, 60));
    process.kill(connectionOf(pid), "SIGKILL");
    await failure;
    assert.ok(await until(() => statusOf(pid).ended, 10));
  });

  it("ends what runs there when the program that runs it is killed", async () => {
    const program = `
      import { openHost } from "./providers/host/effects/host.ts";
      void openHost(${JSON.stringify(sshd.uri)}).run("echo $BASHPID; exec sleep 600", {
        purpose: "wait",
        onLine: (line) => { process.stdout.write(line, () => process.kill(process.pid, "SIGKILL")); },
      });`;
    const { stdout } = spawnSync(
      process.execPath,
      ["--import=tsx", "--input-type=module", "-e", program],
      { encoding: "utf8" },
    );
    const pid = Number(stdout);
    assert.ok(pid > 1);
    assert.ok(await until(() => statusOf(pid).ended, 10));
  });

  it("connects again after a drop", async () => {
    assert.equal(await host.run("echo back", { purpose }), "back\n");
  });

  it("ends a script there that takes too long", async () => {
    let pid = 0;
    const late = host.run("echo $BASHPID; exec sleep 600", {
      purpose,
      timeoutSeconds: 10,
      onLine: (line) => (pid = Number(line)),
    });
    await assert.rejects(late, { code: "command-timed-out" });
    assert.ok(pid > 1 && (await until(() => statusOf(pid).ended, 10)));
  });

  it("refuses a key that it is not given, and a host that it does not know", async () => {
    const other = new URL(sshd.uri);
    other.searchParams.set("known_hosts", "/dev/null");
    await assert.rejects(openHost(other.href).run("true", { purpose }), {
      code: "host-key-unknown",
    });
    const keyless = new URL(sshd.uri);
    keyless.searchParams.set("keyfile", "/dev/null");
    await assert.rejects(openHost(keyless.href).run("true", { purpose }), {
      code: "host-access-denied",
    });
  });

  it("aborts when the host shows another key", async () => {
    await sshd.rotateHostKey();
    await assert.rejects(host.run("true", { purpose }), {
      code: "host-key-changed",
      message: /another SSH host key.*ssh-keygen -R/s,
    });
  });

  it("says so when nothing answers", async () => {
    sshd.stop();
    await assert.rejects(host.run("true", { purpose }), {
      code: "host-unreachable",
      message: /Connection refused/,
    });
  });
});

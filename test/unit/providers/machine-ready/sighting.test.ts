import * as assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  fingerprint,
  parseAttempt,
  parseStage,
  renderGuestScript,
  type Sighting,
} from "../../../../providers/machine-ready/core/sighting.ts";

const changed = `@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
The fingerprint for the ED25519 key sent by the remote host is
SHA256:gT3+0abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL.
Host key for vm1 has changed and you have requested strict checking.
Host key verification failed.\r`;

describe("parseAttempt", () => {
  const cases: [name: string, stderr: string, expected: Sighting][] = [
    [
      "an address that nobody has",
      "ssh: connect to host 192.168.150.10 port 22: No route to host\r\n",
      {
        kind: "silent",
        detail: "ssh: connect to host 192.168.150.10 port 22: No route to host",
      },
    ],
    [
      "a machine that drops packets",
      "ssh: connect to host 10.0.0.1 port 22: Connection timed out",
      { kind: "silent", detail: "ssh: connect to host 10.0.0.1 port 22: Connection timed out" },
    ],
    [
      "a port that is closed",
      "ssh: connect to host 127.0.0.1 port 22: Connection refused\r\n",
      { kind: "refused" },
    ],
    [
      "a port that is closed, seen through nc",
      "nc: connect to 192.0.2.1 port 22 (tcp) failed: Connection refused\nkex_exchange_identification: Connection closed by remote host\r\nConnection closed by UNKNOWN port 65535\r\n",
      { kind: "refused" },
    ],
    [
      "silence, seen through a remote hypervisor",
      "channel 0: open failed: connect failed: No route to host\r\nstdio forwarding failed\r\nConnection closed by UNKNOWN port 65535",
      { kind: "silent", detail: "Connection closed by UNKNOWN port 65535" },
    ],
    [
      "a server that hangs up",
      "kex_exchange_identification: read: Connection reset by peer",
      { kind: "starting", detail: "kex_exchange_identification: read: Connection reset by peer" },
    ],
    [
      "a machine that lets nobody in while it boots",
      `"System is booting up. Unprivileged users are not permitted to log in yet."\r\nConnection closed by 10.0.0.1 port 22`,
      { kind: "starting", detail: "Connection closed by 10.0.0.1 port 22" },
    ],
    [
      "another host key",
      changed,
      {
        kind: "wrong-host-key",
        fingerprint: "SHA256:gT3+0abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL",
      },
    ],
    [
      "a host key of another type",
      "Unable to negotiate with 10.0.0.1 port 22: no matching host key type found. Their offer: rsa-sha2-512\r\n",
      { kind: "wrong-host-key", fingerprint: "none of the pinned type, only rsa-sha2-512" },
    ],
    [
      "a user whose key is refused",
      "deploy@10.0.0.1: Permission denied (publickey).\r\n",
      { kind: "denied" },
    ],
  ];
  for (const [name, stderr, expected] of cases)
    it(`recognises ${name}`, () => {
      assert.deepEqual(parseAttempt({ exitCode: 255, stdout: "", stderr }), expected);
    });

  it("reads the status, whatever the exit code and the stages before it", () => {
    for (const exitCode of [0, 1, 2])
      assert.deepEqual(
        parseAttempt({
          exitCode,
          stdout: `groundwork-stage modules-config\n{"status": "done",\n "errors": []}\ngroundwork-stage null`,
          stderr: "Connection to 192.0.2.1 22 port [tcp/ssh] succeeded!",
        }),
        { kind: "status", status: { state: "done", errors: [], warnings: [] } },
      );
  });

  it("recognises an image without cloud-init", () => {
    assert.deepEqual(parseAttempt({ exitCode: 127, stdout: "", stderr: "" }), {
      kind: "no-cloud-init",
    });
  });
});

describe("parseStage", () => {
  it("reads the boot stage and nothing else", () => {
    assert.equal(parseStage("groundwork-stage modules-final"), "modules-final");
    for (const line of ["groundwork-stage null", "groundwork-stage ", `"stage": "init"`, ""])
      assert.equal(parseStage(line), undefined);
  });
});

describe("renderGuestScript", () => {
  it("is a script for any POSIX shell, without a bare quote that would end it", () => {
    execFileSync("sh", ["-n"], { input: renderGuestScript() });
  });

  it("reads the boot stage from cloud-init's own file", () => {
    const sed = /sed -n '([^']*)'/.exec(renderGuestScript())?.[1] ?? "";
    const read = (text: string): string | undefined =>
      parseStage(execFileSync("sed", ["-n", sed], { input: text, encoding: "utf8" }).trim());
    assert.equal(read(`{\n "v1": {\n  "stage": "modules-config"\n }\n}`), "modules-config");
    assert.equal(read(`{"v1": {"datasource": null, "stage": "init", "x": 1}}`), "init");
    assert.equal(read(`{"v1": {"stage": null}}`), undefined);
  });
});

describe("fingerprint", () => {
  it("is what ssh-keygen prints", () => {
    const key =
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIDp1c0QMtQdB2jLDoTnmLmXQ4cR0vSHK4VJ1cnOG7wL vm1";
    const printed = execFileSync("ssh-keygen", ["-lf", "-"], {
      input: `${key}\n`,
      encoding: "utf8",
    });
    assert.equal(fingerprint(key), printed.split(" ")[1]);
  });
});

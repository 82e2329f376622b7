import assert from "node:assert/strict";
import { parseLibvirtUri } from "../../../../providers/host/core/connection.ts";
import { sshError } from "../../../../providers/host/core/failure.ts";

const connection = parseLibvirtUri("qemu+ssh://ops@hv1:2222/system");
assert.ok(connection.kind === "ssh");

describe("sshError", () => {
  const cases: [string, string][] = [
    [
      "@  WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!  @\nHost key verification failed.",
      "host-key-changed",
    ],
    [
      "No ED25519 host key is known for hv1 and you have requested strict checking.\r\nHost key verification failed.\r\n",
      "host-key-unknown",
    ],
    ["ops@hv1: Permission denied (publickey).", "host-access-denied"],
    ["ssh: connect to host hv1 port 2222: Connection refused", "host-unreachable"],
    ["ssh: connect to host hv1 port 2222: Connection timed out", "host-unreachable"],
    ["ssh: Could not resolve hostname hv1: Name or service not known", "host-unreachable"],
    ["Connection to hv1 closed by remote host.", "host-connection-lost"],
    ["Timeout, server hv1 not responding.", "host-connection-lost"],
    ["client_loop: send disconnect: Broken pipe", "host-connection-lost"],
    ["", "host-connection-lost"],
  ];
  for (const [stderr, code] of cases)
    it(`calls ${JSON.stringify(stderr.split("\n")[0])} ${code}`, () => {
      const error = sshError(connection, "read the volumes", stderr);
      assert.equal(error.code, code);
      assert.match(error.message, /hv1.*read the volumes|read the volumes.*hv1/s);
    });

  it("tells how to drop an old key of a host on another port", () => {
    const error = sshError(connection, "x", "REMOTE HOST IDENTIFICATION HAS CHANGED");
    assert.match(error.next, /ssh-keygen -R '\[hv1\]:2222'/);
  });
});

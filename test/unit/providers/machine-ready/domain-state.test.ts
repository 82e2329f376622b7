import * as assert from "node:assert/strict";
import {
  parseDomainState,
  parsePanic,
  renderSerialTail,
} from "../../../../providers/machine-ready/core/domain-state.ts";

const virsh = (stdout: string, exitCode = 0, stderr = "") =>
  parseDomainState({ exitCode, stdout, stderr });

describe("parseDomainState", () => {
  it("tells a running domain from one that has ended", () => {
    assert.deepEqual(virsh("running (booted)\n\n"), { kind: "alive" });
    assert.deepEqual(virsh("in shutdown (guest requested)\n"), { kind: "alive" });
    assert.deepEqual(virsh("shut off (crashed)\n\n"), { kind: "dead", text: "shut off (crashed)" });
    assert.deepEqual(virsh("crashed (panicked)\n"), { kind: "dead", text: "crashed (panicked)" });
    assert.deepEqual(virsh("paused (I/O error)\n"), { kind: "paused", text: "paused (I/O error)" });
  });

  it("tells a domain that is not there from a libvirt that does not answer", () => {
    const missing = "error: failed to get domain 'vm1'";
    assert.deepEqual(virsh("", 1, missing), { kind: "missing" });
    const silent = "error: failed to connect to the hypervisor\nerror: Failed to connect socket";
    assert.deepEqual(virsh("", 1, silent), { kind: "unknown" });
    assert.deepEqual(virsh("", 124, ""), { kind: "unknown" });
  });
});

describe("renderSerialTail", () => {
  it("keeps the last lines without what a terminal would obey", () => {
    const log =
      "first\r\n\u001b[2J\u001b[01;01H\u001b[=3hBdsDxe: loading\r\n\r\n[\u001b[0;32m  OK  \u001b[0m] Started ssh\r\n\u0007login: ";
    assert.equal(renderSerialTail(log, 3), "BdsDxe: loading\n[  OK  ] Started ssh\nlogin:");
  });

  it("is empty for a log without a word", () => {
    assert.equal(renderSerialTail("\r\n\u001b[0m\r\n", 5), "");
  });
});

describe("parsePanic", () => {
  const panic =
    "[    9.7] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n[    9.7] Call Trace:\r\n" +
    "[    9.8] ---[ end Kernel panic - not syncing: VFS: Unable to mount root fs ]---\r\n";

  it("names the panic that a kernel came to", () => {
    assert.equal(parsePanic(panic), "VFS: Unable to mount root fs");
  });

  it("forgets a panic after which the machine booted anew", () => {
    assert.equal(parsePanic(`${panic}Booting Debian\r\n`), undefined);
    assert.equal(parsePanic(""), undefined);
  });
});

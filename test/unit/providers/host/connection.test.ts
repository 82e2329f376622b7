import assert from "node:assert/strict";
import {
  parseHostUri,
  parseLibvirtUri,
  sshArguments,
} from "../../../../providers/host/core/connection.ts";

describe("parseLibvirtUri", () => {
  for (const uri of [
    "qemu:///system",
    "qemu+unix:///system?socket=/run/groundwork/lab/libvirt-sock",
  ])
    it(`takes ${uri} as this machine`, () => {
      assert.deepEqual(parseLibvirtUri(uri), { kind: "local", uri });
    });

  const remote: [string, object][] = [
    ["qemu+ssh://hv1/system", { hostname: "hv1" }],
    ["qemu+ssh://root@hv1.example.org/system", { hostname: "hv1.example.org", user: "root" }],
    ["qemu+ssh://ops@10.0.0.7:2222/system", { hostname: "10.0.0.7", user: "ops", port: 2222 }],
    ["qemu+ssh://[fd00::7]/system", { hostname: "fd00::7" }],
    [
      "qemu+ssh://hv1/system?keyfile=/keys/id%20lab&known_hosts=/keys/known",
      { hostname: "hv1", identityFile: "/keys/id lab", knownHostsFile: "/keys/known" },
    ],
  ];
  for (const [uri, expected] of remote)
    it(`reads ${uri}`, () => {
      assert.deepEqual(parseLibvirtUri(uri), { kind: "ssh", uri, ...expected });
    });

  const refused: [string, RegExp][] = [
    ["", /not a URI/],
    ["hv1", /not a URI/],
    ["xen:///system", /driver is "xen"/],
    ["qemu+tls://hv1/system", /transport "tls"/],
    ["qemu://hv1/system", /needs the transport ssh/],
    ["qemu:///session", /path is not \/system/],
    ["qemu+ssh://hv1/session", /path is not \/system/],
    ["qemu+ssh:///system", /no valid host/],
    ["qemu+ssh://-oProxyCommand=evil/system", /no valid host/],
    ["qemu+ssh://hv1%3Bid/system", /no valid host/],
    ["qemu+ssh://-l@hv1/system", /user name is not valid/],
    ["qemu+ssh://a%20b@hv1/system", /user name is not valid/],
    ["qemu+ssh://root:secret@hv1/system", /passwords are not supported/],
    ["qemu+ssh://hv1/system?no_verify=1", /no_verify/],
    ["qemu+ssh://hv1/system?known_hosts_verify=ignore", /known_hosts_verify/],
  ];
  for (const [uri, reason] of refused)
    it(`refuses ${JSON.stringify(uri)}`, () => {
      assert.throws(() => parseLibvirtUri(uri), { code: "bad-libvirt-uri", message: reason });
    });
});

describe("sshArguments", () => {
  const connection = parseLibvirtUri(
    "qemu+ssh://ops@hv1:2222/system?keyfile=/k/100%25&known_hosts=/k/a%20b",
  );
  assert.ok(connection.kind === "ssh");
  const words = sshArguments(connection, "/run/c/abc");

  it("never asks and always checks the host key", () => {
    assert.ok(words.includes("BatchMode=yes"));
    assert.ok(words.includes("StrictHostKeyChecking=yes"));
  });

  it("ends its options before the host, so that a host is never taken for one", () => {
    assert.deepEqual(words.slice(-2), ["--", "hv1"]);
  });

  it("passes user, port, key and known_hosts, with nothing that ssh would expand or split", () => {
    const line = words.join(" ");
    assert.match(line, /-i \/k\/100%% /);
    assert.match(line, /UserKnownHostsFile="\/k\/a b"/);
    assert.match(line, /-p 2222 -l ops/);
  });

  it("shares connections only where it is given a control path", () => {
    assert.ok(words.includes('ControlPath="/run/c/abc"'));
    assert.ok(!sshArguments(connection).some((word) => word.startsWith("Control")));
  });
});

describe("parseHostUri", () => {
  it("reads this machine, a host with its files, and a libvirt URI", () => {
    assert.deepEqual(parseHostUri("local:"), { kind: "local", uri: "local:" });
    const uri = "ssh://deploy@192.168.122.250:2222?keyfile=/k&known_hosts=/h&config=/c";
    assert.deepEqual(parseHostUri(uri), {
      ...{ kind: "ssh", uri, hostname: "192.168.122.250", user: "deploy", port: 2222 },
      ...{ identityFile: "/k", knownHostsFile: "/h", configFile: "/c" },
    });
    assert.equal(parseHostUri("qemu:///system").kind, "local");
  });

  for (const uri of [
    ...["", "vm1", "https://vm1", "ssh://vm1/path", "ssh://vm1?StrictHostKeyChecking=no"],
    ...["ssh://user:secret@vm1", "ssh://-oProxyCommand=x"],
  ])
    it(`refuses ${JSON.stringify(uri)}`, () => {
      assert.throws(() => parseHostUri(uri), { code: "bad-host-uri" });
    });

  it("has ssh read the file that it names, and still check the host key", () => {
    const connection = parseHostUri("ssh://vm1?config=/home/ssh/config");
    assert.ok(connection.kind === "ssh");
    const words = sshArguments(connection);
    assert.deepEqual(words.slice(0, 2), ["-F", "/home/ssh/config"]);
    assert.ok(words.includes("StrictHostKeyChecking=yes"));
    assert.equal(words.at(-1), "vm1");
  });
});

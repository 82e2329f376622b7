import * as assert from "node:assert/strict";
import { parseLibvirtUri } from "../../../../providers/host/core/connection.ts";
import {
  planRoute,
  renderKnownHosts,
  renderProxyCommand,
  renderSshConfig,
  type SshMachine,
} from "../../../../providers/machine-ready/core/ssh-config.ts";

const namespace = "/run/netns/groundwork";
const route = (uri: string, networkNamespace?: string) =>
  planRoute(parseLibvirtUri(uri), networkNamespace);
const embedded = "qemu+unix:///system?socket=/run/groundwork/x/libvirt-sock";

const machine = (name: string): SshMachine => ({
  name,
  address: "192.168.150.10",
  user: "deploy",
  hostPublicKey: `ssh-ed25519 AAAA${name} a comment`,
  hypervisorUri: "qemu:///system",
});

describe("planRoute", () => {
  it("goes through the namespace only for the embedded hypervisor", () => {
    assert.deepEqual(route(embedded, namespace), { kind: "namespace", path: namespace });
    assert.deepEqual(route("qemu:///system", namespace), { kind: "direct" });
    assert.deepEqual(route(embedded), { kind: "direct" });
  });

  it("goes through a remote hypervisor, namespace or not", () => {
    assert.equal(route("qemu+ssh://hv1/system", namespace).kind, "jump");
  });
});

describe("renderProxyCommand", () => {
  it("connects from inside the namespace", () => {
    assert.equal(
      renderProxyCommand(route(embedded, namespace)),
      "nsenter --net=/run/netns/groundwork nc %h %p",
    );
  });

  it("checks the hypervisor's own host key and leaves the user's ssh settings in force", () => {
    const uri = "qemu+ssh://admin@hv1:2222/system?keyfile=/k&known_hosts=/h";
    const command = renderProxyCommand(route(uri)) ?? "";
    assert.match(command, /^ssh -W '\[%h\]:%p' /);
    assert.match(command, /-o StrictHostKeyChecking=yes .*-i \/k .*UserKnownHostsFile=\S*\/h/);
    assert.match(command, /-p 2222 -l admin -- hv1$/);
    assert.doesNotMatch(command, / -F /);
  });

  it("is not there where OpenSSH connects by itself", () => {
    assert.equal(renderProxyCommand({ kind: "direct" }), undefined);
  });
});

describe("renderSshConfig", () => {
  const config = renderSshConfig(
    [
      { machine: machine("vm1"), route: { kind: "direct" } },
      { machine: { ...machine("vm2"), port: 2222 }, route: route(embedded, namespace) },
    ],
    { knownHosts: "/a b/100%/known_hosts", identity: "/a b/100%/id" },
  );

  it("has one entry per machine, known by its name and not by an address that may come again", () => {
    assert.match(
      config,
      /^Host vm1\n {2}HostName 192\.168\.150\.10\n {2}User deploy\n {2}HostKeyAlias vm1\n/m,
    );
    assert.match(config, /^Host vm2\n {2}HostName 192\.168\.150\.10\n {2}Port 2222\n/m);
    assert.match(
      config,
      /HostKeyAlias vm2\n {2}HostKeyAlgorithms ssh-ed25519\n {2}ProxyCommand nsenter/,
    );
  });

  it("accepts no other host key and offers no other key", () => {
    assert.match(config, /^ {2}StrictHostKeyChecking yes$/m);
    assert.match(config, /^ {2}GlobalKnownHostsFile \/dev\/null$/m);
    assert.match(config, /^ {2}IdentitiesOnly yes$/m);
  });

  it("bears spaces and percent signs in paths", () => {
    assert.match(config, /^ {2}IdentityFile "\/a b\/100%%\/id"$/m);
    assert.match(config, /^ {2}UserKnownHostsFile "\/a b\/100%%\/known_hosts"$/m);
  });
});

describe("renderKnownHosts", () => {
  it("has exactly the pinned keys, without their comments", () => {
    assert.equal(
      renderKnownHosts([machine("vm1"), machine("vm2")]),
      "vm1 ssh-ed25519 AAAAvm1\nvm2 ssh-ed25519 AAAAvm2\n",
    );
  });
});

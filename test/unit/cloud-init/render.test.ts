import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { parse } from "yaml";
import {
  deriveInstanceId,
  renderMetaData,
  renderNetworkConfig,
  renderUserData,
  type Seed,
} from "../../../cloud-init/render.ts";
import { assertGolden } from "../../support/golden.ts";
import { requireNeeds } from "../../support/needs.ts";

const key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbg==\n-----END OPENSSH PRIVATE KEY-----\n";

const seed: Seed = {
  hostname: "vm1",
  domain: "lab.internal",
  user: "deploy",
  authorizedKeys: ["ssh-ed25519 AAAAC3Nz groundwork-lab"],
  hostPublicKey: "ssh-ed25519 AAAAC3Nz vm1",
  packages: ["curl"],
  files: [
    { path: "/etc/motd", content: "yes: no\n", permissions: "0644", owner: "root:root" },
    { path: "/srv/x", content: "x", permissions: "0600", owner: "deploy:deploy" },
  ],
  commands: ["echo yes > /run/x", ["systemctl", "restart", "ssh"]],
  guestAgent: true,
  interfaces: [
    {
      mac: "52:54:00:AA:BB:CC",
      address: {
        cidr: "192.168.150.10/24",
        gateway: "192.168.150.1",
        nameservers: ["192.168.150.1"],
        routerAdvertisements: false,
      },
      domain: "lab.internal",
    },
    { mac: "52:54:00:AA:BB:CD", address: "dhcp" },
  ],
};

type UserData = Record<string, unknown> & { users: Record<string, unknown>[] };

/** Reads as cloud-init does: YAML 1.1. */
const read = (text: string): UserData => parse(text, { version: "1.1" }) as UserData;

/** Any text that can stand in a file, YAML's and the shell's special signs foremost. */
const hostile = fc.oneof(
  fc.string({ unit: "binary" }).filter((text) => !/[\ud800-\udfff]/.test(text)),
  fc.constantFrom(
    ...["no", "on", "~", "null", "0644", "1:30", "1e3", "*a", "&a", "!!python/object:x", "- a"],
    ...["{{ v1 }}", "## template: jinja", "#cloud-config", "a: b", "'", '"', "\\", "\t", "\r\n"],
    ...["---\n...", "%YAML 1.2", "\u0085\u2028\ufeff", "\u007f\u0080\u009f\uffff", "$(id)", "`id`"],
  ),
);

describe("renderUserData", () => {
  it("is what the golden file shows", () => {
    assertGolden("user-data.yaml", renderUserData(seed, key));
  });

  it("lets in one user with keys only, and root not at all", () => {
    const config = read(renderUserData(seed, key));
    assert.equal(config["ssh_pwauth"], false);
    assert.equal(config["disable_root"], true);
    assert.equal(config.users.length, 1);
    assert.equal(config.users[0]?.["lock_passwd"], true);
    assert.deepEqual(config.users[0]["ssh_authorized_keys"], seed.authorizedKeys);
  });

  it("gives the machine the host key we know and no other", () => {
    const config = read(renderUserData(seed, key));
    assert.deepEqual(config["ssh_keys"], {
      ed25519_private: key,
      ed25519_public: seed.hostPublicKey,
    });
    assert.equal(config["ssh_deletekeys"], true);
    assert.deepEqual(config["ssh_genkeytypes"], ["ed25519"]);
  });

  it("asks for nothing that the machine does not need", () => {
    const bare = { ...seed, packages: [], files: [], commands: [], guestAgent: false };
    const config = read(renderUserData(bare, key));
    for (const module of ["package_update", "packages", "write_files", "runcmd"])
      assert.equal(config[module], undefined, module);
  });

  it("starts the guest agent before the user's commands", () => {
    const commands = read(renderUserData(seed, key))["runcmd"] as unknown[];
    assert.match(JSON.stringify(commands[0]), /qemu-guest-agent/);
    assert.deepEqual(commands.slice(1), seed.commands);
  });

  it("writes files of other users only once these exist", () => {
    const files = read(renderUserData(seed, key))["write_files"] as Record<string, unknown>[];
    assert.deepEqual(
      files.map(({ defer }) => defer),
      [undefined, true],
    );
  });

  it("brings every text through unchanged", () => {
    fc.assert(
      fc.property(hostile, hostile, fc.array(hostile), (content, command, argv) => {
        const text = renderUserData(
          {
            ...seed,
            guestAgent: false,
            files: [{ path: "/x", content, permissions: "0644", owner: "root:root" }],
            commands: [command, argv],
          },
          key,
        );
        assert.ok(text.startsWith("#cloud-config\n"));
        const config = read(text);
        assert.equal((config["write_files"] as { content: string }[])[0]?.content, content);
        assert.deepEqual(config["runcmd"], [command, argv]);
      }),
    );
  });

  it("is read alike by PyYAML, which cloud-init uses", function () {
    requireNeeds(this, ["pyyaml"]);
    const texts = fc.sample(hostile, { numRuns: 60, seed: 1 });
    const files = texts.map((content) => ({
      path: "/x",
      content,
      permissions: "0644",
      owner: "root:root",
    }));
    const result = spawnSync(
      "python3",
      [
        "-c",
        "import json, sys, yaml; json.dump([f['content'] for f in yaml.safe_load(sys.stdin.buffer.read().decode())['write_files']], sys.stdout)",
      ],
      { input: renderUserData({ ...seed, files }, key), encoding: "utf8" },
    );
    assert.equal(result.status, 0, result.stderr);
    assert.deepEqual(JSON.parse(result.stdout), texts);
  });
});

describe("renderNetworkConfig", () => {
  it("is what the golden file shows", () => {
    assertGolden("network-config.yaml", renderNetworkConfig(seed.interfaces));
  });

  it("takes the default route from the first interface only", () => {
    const [first, second] = seed.interfaces;
    assert.ok(first && second);
    const swapped = read(renderNetworkConfig([second, first]))["ethernets"] as Record<
      string,
      object
    >;
    assert.deepEqual(Object.keys(swapped["eth0"] ?? {}), ["match", "set-name", "dhcp4"]);
    assert.equal("routes" in (swapped["eth1"] ?? {}), false);
  });

  it("has neither route nor name servers where none are known", () => {
    const text = renderNetworkConfig([
      {
        mac: "52:54:00:AA:BB:CC",
        address: { cidr: "10.0.0.5/8", nameservers: [], routerAdvertisements: true },
      },
    ]);
    assert.doesNotMatch(text, /routes|nameservers|accept-ra/);
  });
});

describe("deriveInstanceId", () => {
  it("changes with everything that the seed says", () => {
    const changes: Partial<Seed>[] = [
      { hostname: "vm2" },
      { domain: "other.internal" },
      { user: "admin" },
      { authorizedKeys: [] },
      { hostPublicKey: "ssh-ed25519 AAAAC3Nx vm1" },
      { packages: [] },
      { files: [] },
      { commands: [] },
      { guestAgent: false },
      { interfaces: seed.interfaces.slice(0, 1) },
    ];
    const ids = [seed, ...changes.map((change) => ({ ...seed, ...change }))].map((each) =>
      deriveInstanceId(each),
    );
    assert.equal(new Set(ids).size, changes.length + 1);
  });

  it("changes with what is on the root volume, once that is known", () => {
    const ids = [undefined, "d1.1", "d1.2", "d2.2"].map((each) => deriveInstanceId(seed, each));
    assert.equal(new Set(ids).size, 4);
  });

  it("stays when the seed stays", () => {
    assert.equal(deriveInstanceId({ ...seed }), deriveInstanceId(seed));
    assert.match(deriveInstanceId(seed), /^vm1-[0-9a-f]{12}$/);
  });
});

describe("renderMetaData", () => {
  it("keeps a host name that reads like a number a text", () => {
    assert.deepEqual(read(renderMetaData("1-0", "1e3")), {
      "instance-id": "1-0",
      "local-hostname": "1e3",
    });
  });
});

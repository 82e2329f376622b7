import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import fc from "fast-check";
import { parse } from "yaml";
import { ConfigError, parseConfig } from "../../../config.ts";
import { renderPath } from "../../../config/problem.ts";
import { labMachine, labSections } from "../../support/lab.ts";

/** The problems of a configuration, as `path: expectation`. */
function problemsOf(raw: Record<string, unknown>): string[] {
  try {
    parseConfig(raw);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems.map(({ path: at, expected }) => `${renderPath(at)}: ${expected}`);
  }
}

/** The lab with another machine, network, image or hypervisor. */
const withMachine = (changes: object): Record<string, unknown> => ({
  ...labSections(),
  "groundwork:machines": [{ ...labMachine(), ...changes }],
});
const withMachines = (...machines: object[]): Record<string, unknown> => ({
  ...labSections(),
  "groundwork:machines": machines.map((changes) => ({ ...labMachine(), ...changes })),
});
const withNetwork = (changes: object): Record<string, unknown> => ({
  ...labSections(),
  "groundwork:machines": [],
  "groundwork:networks": [{ name: "lab", hypervisor: "hv", cidr: "192.168.150.0/24", ...changes }],
});
const withImage = (image: object): Record<string, unknown> => ({
  ...labSections(),
  "groundwork:images": [{ name: "debian" }, { name: "other", ...image }],
});

describe("parseConfig", () => {
  it("fills in every default", () => {
    const config = parseConfig(labSections());
    assert.deepEqual(config.ssh, { user: "deploy", authorizedKeys: [] });
    assert.equal(config.objectStore.endpoint, "http://127.0.0.1:9000");
    assert.equal(config.embedded, undefined);
    const [machine] = config.machines;
    assert.equal(machine?.vcpus, 2);
    assert.equal(machine.firmware, "uefi");
    assert.equal(machine.vnc, false);
    assert.deepEqual(machine.cloudInit, {
      authorizedKeys: [],
      packages: [],
      files: [],
      commands: [],
    });
  });

  it("takes an empty configuration for an empty lab", () => {
    assert.deepEqual(parseConfig({}).machines, []);
  });

  it("leaves keys of other namespaces alone", () => {
    assert.deepEqual(problemsOf({ ...labSections(), "aws:region": "eu-central-1" }), []);
  });

  it("accepts Pulumi.local.yaml", () => {
    const text = fs.readFileSync(path.resolve("Pulumi.local.yaml"), "utf8");
    const file = parse(text) as { config: Record<string, unknown> };
    assert.deepEqual(problemsOf(file.config), []);
  });

  it("names an unknown section and the known ones", () => {
    assert.match(
      problemsOf({ ...labSections(), "groundwork:machine": [] })[0] ?? "",
      /^groundwork:machine: one of embedded, objectStore, images/,
    );
  });

  it("reports every problem of a file at once, with its path", () => {
    const problems = problemsOf(
      withMachine({ vcpus: "2", memoryMiB: 1.5, firmware: "efi", colour: "red", networks: [] }),
    );
    assert.deepEqual(problems.map((problem) => problem.split(": ")[0]).sort(), [
      "groundwork:machines[0].colour",
      "groundwork:machines[0].firmware",
      "groundwork:machines[0].memoryMiB",
      "groundwork:machines[0].networks",
      "groundwork:machines[0].vcpus",
    ]);
  });

  it("shows what was seen, what was expected, an example and the next step", () => {
    assert.throws(() => parseConfig(withMachine({ memoryMiB: "1 GiB" })), {
      code: "bad-configuration",
      message:
        /groundwork:machines\[0\]\.memoryMiB is "1 GiB"; expected a number, for example 1024\n.*Pulumi\.<stack>\.yaml/s,
    });
  });

  it("shows a missing value as missing", () => {
    assert.throws(() => parseConfig(withMachine({ rootVolume: { image: "debian" } })), {
      message: /rootVolume\.sizeGiB is missing; expected a number, for example 4/,
    });
  });

  it("has an example that is accepted for every text it refuses", () => {
    const refused = withMachine({ name: "VM 1", hypervisor: "a_b" });
    assert.throws(() => parseConfig(refused), { message: /name is "VM 1".*for example "vm1"/ });
  });

  it("accepts RFC 1123 labels as names and refuses all else", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 70, unit: "binary-ascii" }), (name) => {
        const isLabel =
          /^(?!-)[a-z0-9-]{1,63}(?<!-)$/.test(name) && !/^(snapshot|pvmove)/.test(name);
        assert.equal(problemsOf(withMachine({ name })).length === 0, isLabel);
      }),
    );
  });

  const refusals: [string, Record<string, unknown>, RegExp][] = [
    [
      "a root user",
      { ...labSections(), "groundwork:ssh": { user: "root" } },
      /ssh\.user: a user other/,
    ],
    [
      "a key file instead of a key",
      { ...labSections(), "groundwork:ssh": { authorizedKeys: ["~/.ssh/id.pub"] } },
      /authorizedKeys\[0\]: one line/,
    ],
    [
      "an endpoint without a scheme",
      { ...labSections(), "groundwork:objectStore": { endpoint: "minio:9000" } },
      /endpoint: an http or https URL/,
    ],
    [
      "a subnet with host bits",
      withNetwork({ cidr: "192.168.150.1/24" }),
      /cidr: a network address/,
    ],
    [
      "a bridge network without a bridge",
      withNetwork({ mode: "bridge" }),
      /bridge: the hypervisor's bridge/,
    ],
    ["a bridge beside nat", withNetwork({ bridge: "br0" }), /bridge: no bridge/],
    [
      "a gateway outside the subnet",
      withNetwork({ mode: "bridge", bridge: "br0", gateway: "10.0.0.1" }),
      /gateway: an address in/,
    ],
    [
      "another gateway than libvirt's",
      withNetwork({ gateway: "192.168.150.2" }),
      /gateway: the first address, 192\.168\.150\.1/,
    ],
    [
      "an unknown hypervisor of a network",
      withNetwork({ hypervisor: "hv2" }),
      /hypervisor: a name from groundwork:hypervisors: hv/,
    ],
    [
      "an unknown hypervisor of a machine",
      withMachine({ hypervisor: "hv2" }),
      /hypervisor: a name from groundwork:hypervisors: hv/,
    ],
    [
      "an unknown image",
      withMachine({ rootVolume: { image: "deb", sizeGiB: 4 } }),
      /image: a name from groundwork:images: debian/,
    ],
    [
      "an unknown image of a cache",
      {
        ...labSections(),
        "groundwork:hypervisors": [{ name: "hv", volumeGroup: "vg", cache: { images: ["deb"] } }],
      },
      /images\[0\]: a name from groundwork:images: debian/,
    ],
    [
      "an unknown network",
      withMachine({ networks: [{ network: "x", address: "1.2.3.4" }] }),
      /network: a name from groundwork:networks: lab/,
    ],
    [
      "an address outside the subnet",
      withMachine({ networks: [{ network: "lab", address: "10.0.0.1" }] }),
      /address: an address in 192/,
    ],
    [
      "the gateway's address",
      withMachine({ networks: [{ network: "lab", address: "192.168.150.1" }] }),
      /address: another address than the gateway's/,
    ],
    [
      "the broadcast address",
      withMachine({ networks: [{ network: "lab", address: "192.168.150.255" }] }),
      /address: an address between/,
    ],
    [
      "the network's own address",
      withMachine({ networks: [{ network: "lab", address: "192.168.150.0" }] }),
      /address: an address between/,
    ],
    [
      "a fixed address that DHCP may hand out",
      withMachine({ networks: [{ network: "lab", address: "192.168.150.200" }] }),
      /address: an address in the lower half/,
    ],
    [
      "one network twice",
      withMachine({
        networks: [
          { network: "lab", address: "192.168.150.10" },
          { network: "lab", address: "192.168.150.11" },
        ],
      }),
      /networks\[1\]\.network: a network that is used only once/,
    ],
    [
      "one address twice",
      withMachines({}, { name: "vm2" }),
      /machines\[1\].*address: an address that is used only once/,
    ],
    [
      "one MAC address twice",
      withMachines(
        { networks: [{ network: "lab", address: "192.168.150.10", mac: "52:54:00:aa:bb:cc" }] },
        {
          name: "vm2",
          networks: [{ network: "lab", address: "192.168.150.11", mac: "52:54:00:AA:BB:CC" }],
        },
      ),
      /mac: a MAC address that is used only once/,
    ],
    [
      "a multicast MAC address",
      withMachine({
        networks: [{ network: "lab", address: "192.168.150.10", mac: "01:00:5e:00:00:01" }],
      }),
      /mac: a unicast MAC address/,
    ],
    [
      "one machine twice",
      withMachines({}, { networks: [{ network: "lab", address: "192.168.150.11" }] }),
      /machines\[1\]\.name: a name that is used only once/,
    ],
    [
      "volumes that a guest cannot tell apart",
      withMachine({
        volumes: [
          { name: "application-database-a", sizeGiB: 1 },
          { name: "application-database-b", sizeGiB: 1 },
        ],
      }),
      /volumes\[1\]\.name: the first 20 characters of a volume's name that is used only once/,
    ],
    [
      "a further volume with an image that is not there",
      withMachine({ volumes: [{ name: "data", sizeGiB: 1, image: "backup" }] }),
      /volumes\[0\]\.image: a name from groundwork:images: debian/,
    ],
    [
      "a volume called root",
      withMachine({ volumes: [{ name: "root", sizeGiB: 1 }] }),
      /volumes\[0\]\.name: a volume that is used only once/,
    ],
    [
      "two machines' volumes of one name in different volume groups",
      withMachines(
        { name: "a", volumes: [{ name: "b-root", sizeGiB: 1, volumeGroup: "fast" }] },
        { name: "a-b", networks: [{ network: "lab", address: "192.168.150.11" }] },
      ),
      /machines\[1\]\.name: a volume that is used only once/,
    ],
    [
      "two machines' volumes of one name",
      withMachines(
        { name: "a", volumes: [{ name: "b-root", sizeGiB: 1 }] },
        { name: "a-b", networks: [{ network: "lab", address: "192.168.150.11" }] },
      ),
      /machines\[1\]\.name: a volume that is used only once/,
    ],
    [
      "a name that LVM keeps for itself",
      withMachine({ name: "snapshot1" }),
      /name: a name that does not begin with snapshot/,
    ],
    [
      "an image from a URL without checksum",
      withImage({ url: "https://x.example/i.img" }),
      /images\[1\]\.url: a sha256 or sha256SumsUrl/,
    ],
    [
      "an image built and taken from a URL",
      withImage({ build: {}, url: "https://x.example/i.img", sha256: "0".repeat(64) }),
      /images\[1\]: either build or url/,
    ],
    [
      "a file that climbs in the image",
      withImage({ build: { files: [{ source: "a", path: "/opt/../etc/a" }] } }),
      /files\[0\]\.path: an absolute path/,
    ],
    [
      "a file without a full path",
      withImage({ build: { files: [{ source: "a", path: "opt/a" }] } }),
      /files\[0\]\.path: an absolute path/,
    ],
    [
      "a file where the disk is not",
      withImage({ build: { files: [{ source: "a", path: "/run/a" }] } }),
      /files\[0\]\.path: a path that is not below/,
    ],
    [
      "a file that is a folder",
      withImage({ build: { files: [{ source: "a", path: "/opt/" }] } }),
      /files\[0\]\.path: an absolute path/,
    ],
    [
      "a file whose mode gives its reader root",
      withImage({ build: { files: [{ source: "a", path: "/opt/a", mode: "4755" }] } }),
      /files\[0\]\.mode: four octal digits/,
    ],
    [
      "a file from a URL without checksum",
      withImage({ build: { files: [{ source: "https://x.example/a", path: "/opt/a" }] } }),
      /files\[0\]: sha256 beside/,
    ],
    [
      "a file whose source has a line break",
      withImage({ build: { files: [{ source: "a\nb", path: "/opt/a" }] } }),
      /files\[0\]\.source/,
    ],
    [
      "two files of one path",
      withImage({
        build: {
          files: [
            { source: "a", path: "/opt/a" },
            { source: "b", path: "/opt/a" },
          ],
        },
      }),
      /files: each path once/,
    ],
    [
      "a list of checksums without a URL",
      withImage({ sha256SumsUrl: "https://x.example/SUMS" }),
      /sha256SumsUrl: a url beside it/,
    ],
    ["a checksum that is none", withImage({ sha256: "abc" }), /sha256: 64 hexadecimal digits/],
    [
      "a pool path that climbs",
      {
        ...labSections(),
        "groundwork:hypervisors": [
          { name: "hv", volumeGroup: "vg", pool: { path: "/var/../etc/x" } },
        ],
      },
      /pool\.path: an absolute path/,
    ],
    [
      "a remote hypervisor without a user",
      {
        ...labSections(),
        "groundwork:hypervisors": [
          { name: "hv", volumeGroup: "vg", uri: "qemu+ssh://hv1/system?keyfile=/a@b" },
        ],
      },
      /uri: a user before the host/,
    ],
    [
      "a volume group with a slash",
      { ...labSections(), "groundwork:hypervisors": [{ name: "hv", volumeGroup: "a/b" }] },
      /volumeGroup: letters, digits/,
    ],
    [
      "an embedded name that is too long",
      { ...labSections(), "groundwork:embedded": { name: "a".repeat(16) } },
      /embedded\.name: a letter followed/,
    ],
  ];
  for (const [what, raw, expected] of refusals)
    it(`refuses ${what}, and nothing else in that file`, () => {
      const problems = problemsOf(raw);
      assert.equal(problems.length, 1, problems.join("\n"));
      assert.match(problems[0] ?? "", expected);
    });

  it("accepts a reservation in the range of DHCP", () => {
    const networks = [{ network: "lab", address: "192.168.150.200", dhcp: true }];
    assert.deepEqual(problemsOf(withMachine({ networks })), []);
  });

  it("refuses a reservation where DHCP is off", () => {
    const raw = withMachine({
      networks: [{ network: "lab", address: "192.168.150.10", dhcp: true }],
    });
    raw["groundwork:networks"] = [
      { name: "lab", hypervisor: "hv", cidr: "192.168.150.0/24", dhcp: false },
    ];
    assert.match(problemsOf(raw)[0] ?? "", /dhcp: dhcp: true on network lab/);
  });

  it("refuses overlapping subnets on one hypervisor, but not on two", () => {
    const networks = (other: string): unknown[] => [
      { name: "a", hypervisor: "hv", cidr: "10.0.0.0/16" },
      { name: "b", hypervisor: other, cidr: "10.0.128.0/17" },
    ];
    const base = {
      ...labSections(),
      "groundwork:machines": [],
      "groundwork:hypervisors": [
        { name: "hv", volumeGroup: "vg" },
        { name: "hv2", volumeGroup: "vg" },
      ],
    };
    assert.match(
      problemsOf({ ...base, "groundwork:networks": networks("hv") })[0] ?? "",
      /networks\[1\]\.cidr: a subnet apart from 10\.0\.0\.0\/16/,
    );
    assert.deepEqual(problemsOf({ ...base, "groundwork:networks": networks("hv2") }), []);
  });

  it("never fails otherwise than with a ConfigError, whatever stands in the file", () => {
    const keys = [
      "embedded",
      "objectStore",
      "images",
      "ssh",
      "hypervisors",
      "networks",
      "machines",
    ];
    fc.assert(
      fc.property(fc.constantFrom(...keys), fc.jsonValue(), (key, value) => {
        problemsOf({ ...labSections(), [`groundwork:${key}`]: value });
      }),
    );
  });
});

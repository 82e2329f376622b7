import * as assert from "node:assert/strict";
import { parse } from "yaml";
import { parseConfig } from "../../../config.ts";
import { addClone, planCloneAddresses } from "../../../scripts/lib/clone-plan.ts";

const file = `# my lab
config:
  groundwork:images:
    - name: debian # the usual one
      build: {}
  groundwork:hypervisors: [{ name: hv, volumeGroup: vg }]
  groundwork:networks:
    - { name: lab, hypervisor: hv, cidr: 192.168.150.0/24 }
  groundwork:machines:
    # the first
    - name: vm1
      hypervisor: hv
      memoryMiB: 2048
      rootVolume: { image: debian, sizeGiB: 8, generation: 3 }
      networks:
        - { network: lab, address: 192.168.150.10, mac: "52:54:00:12:34:56" }
    - name: vm3
      hypervisor: hv
      rootVolume: { image: debian, sizeGiB: 4 }
      networks: [{ network: lab, address: 192.168.150.11 }]
`;
const configOf = (text: string) =>
  parseConfig((parse(text) as { config: Record<string, unknown> }).config);
const config = configOf(file);
const wish = { from: "vm1", to: "vm2", addresses: [] };

describe("planCloneAddresses", () => {
  it("takes the next address that nobody has", () => {
    assert.deepEqual(planCloneAddresses(config, wish), ["192.168.150.12"]);
    assert.deepEqual(planCloneAddresses(config, { ...wish, addresses: ["192.168.150.77"] }), [
      "192.168.150.77",
    ]);
  });

  it("leaves those of clusters' nodes to them", () => {
    const node =
      "{ name: n, network: lab, hypervisor: hv, rootVolume: { image: debian, sizeGiB: 4 }, nodes: [{ name: cp1, address: 192.168.150.12 }] }";
    const clusters = `  groundwork:clusters: [{ name: kube, version: v1.34.3+k3s1, servers: [${node}] }]\n`;
    assert.deepEqual(planCloneAddresses(configOf(`${file}${clusters}`), wish), ["192.168.150.13"]);
  });

  it("begins anew at the end of what DHCP leaves free, and never takes the gateway's", () => {
    const last = configOf(file.replaceAll("150.10", "150.127"));
    assert.deepEqual(planCloneAddresses(last, wish), ["192.168.150.2"]);
  });

  it("says when all are taken", () => {
    const small = configOf(
      file
        .replace("192.168.150.0/24", "192.168.150.0/29")
        .replace("150.10", "150.2")
        .replace("150.11", "150.3"),
    );
    assert.throws(() => planCloneAddresses(small, wish), { code: "no-free-address" });
  });

  for (const [what, more, code] of [
    ["a machine that is not there", { from: "vm9" }, "unknown-machine"],
    ["a name that is taken", { to: "vm3" }, "machine-exists"],
    ["a name that is none", { to: "VM 2" }, "bad-machine-name"],
    ["no name", { to: "" }, "bad-machine-name"],
    ["a name that LVM keeps", { to: "snapshot1" }, "bad-machine-name"],
  ] as const)
    it(`refuses ${what}`, () => {
      assert.throws(() => planCloneAddresses(config, { ...wish, ...more }), { code });
    });
});

describe("addClone", () => {
  const added = addClone(file, {
    ...{ from: "vm1", to: "vm2", addresses: ["192.168.150.12"], image: "vm1-root.x.sealed" },
  });

  it("adds a machine like the old one with its own name, image and address", () => {
    const after = configOf(added.text);
    assert.deepEqual(after.machines.slice(0, 2), config.machines);
    const [vm1, , vm2] = after.machines;
    assert.ok(vm1 && vm2);
    assert.deepEqual(vm2, {
      ...vm1,
      name: "vm2",
      rootVolume: { ...vm1.rootVolume, image: "vm1-root.x.sealed", generation: 0 },
      networks: [{ network: "lab", address: "192.168.150.12", dhcp: false }],
    });
    assert.equal(after.images.at(-1)?.name, "vm1-root.x.sealed");
  });

  it("begins further volumes empty, whatever the old one's were made from", () => {
    const volumes = "networks:\n        - { network: lab, address: 192.168.150.10";
    const with_ = file.replace(
      volumes,
      `volumes: [{ name: data, sizeGiB: 1, image: debian }]\n      ${volumes}`,
    );
    const { text } = addClone(with_, { ...wish, addresses: ["192.168.150.12"], image: "a" });
    const sections = (parse(text) as { config: Record<string, unknown[]> }).config;
    const [vm1, , vm2] = sections["groundwork:machines"] as { volumes: unknown }[];
    assert.deepEqual(vm1?.volumes, [{ name: "data", sizeGiB: 1, image: "debian" }]);
    assert.deepEqual(vm2?.volumes, [{ name: "data", sizeGiB: 1 }]);
  });

  it("keeps comments, and prints what it adds alone", () => {
    for (const comment of ["# my lab", "# the usual one", "# the first"])
      assert.ok(added.text.includes(comment), comment);
    assert.deepEqual(
      (parse(added.entries) as Record<string, { name: string }[]>)["groundwork:machines"]?.map(
        ({ name }) => name,
      ),
      ["vm2"],
    );
    assert.doesNotMatch(added.entries, /mac:|generation:|vcpus:/);
  });

  it("makes the section of images where the file has none", () => {
    const without = file.replace(/  groundwork:images:\n.*\n.*\n/, "");
    const { text } = addClone(without, {
      ...{ from: "vm1", to: "vm2", addresses: ["192.168.150.12"], image: "a" },
    });
    const raw = parse(text) as { config: Record<string, unknown> };
    assert.deepEqual(raw.config["groundwork:images"], [{ name: "a" }]);
  });
});

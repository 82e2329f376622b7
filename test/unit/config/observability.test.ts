import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "yaml";
import { ConfigError, parseConfig } from "../../../config.ts";
import { renderPath } from "../../../config/problem.ts";
import { labSections } from "../../support/lab.ts";

const problemsOf = (section: object): string[] => {
  try {
    parseConfig({ ...labSections(), "groundwork:observability": section });
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems.map(({ path: at, expected }) => `${renderPath(at)}: ${expected}`);
  }
};

describe("the section observability", () => {
  it("takes a machine of the stack, or a host that SSH reaches", () => {
    assert.deepEqual(problemsOf({ machine: "vm1" }), []);
    assert.deepEqual(problemsOf({ host: "ssh://deploy@192.168.122.250" }), []);
  });

  const wrong: [object, RegExp][] = [
    [{}, /observability: either machine or host/],
    [{ machine: "vm1", host: "ssh://h" }, /observability: either machine or host/],
    [{ machine: "absent" }, /observability.machine: a name from groundwork:machines/],
    [{ machine: "vm1", images: "preload" }, /observability.archives: the images to load/],
    [{ machine: "vm1", path: "/home/deploy/../x" }, /observability.path/],
    [
      { host: "ssh://lab:99999" },
      /^groundwork:observability.host: a URI with a host, and a port of at most 65535/,
    ],
    [{ host: "lab" }, /^groundwork:observability.host: an ssh:\/\/ URI$/],
    [{ machine: "vm1", httpPort: 0 }, /observability.httpPort/],
  ];
  for (const [section, expected] of wrong)
    it(`refuses ${JSON.stringify(section)}`, () => {
      assert.match(problemsOf(section).join("\n"), expected);
    });
});

describe("Pulumi.observability.yaml", () => {
  const read = (name: string): Record<string, unknown> => {
    const file = path.resolve(import.meta.dirname, `../../../${name}`);
    return (parse(fs.readFileSync(file, "utf8")) as { config: Record<string, unknown> }).config;
  };
  const raw = read("Pulumi.observability.yaml");

  it("is the machine that the lab is described with", () => {
    const config = parseConfig(raw);
    const [machine] = config.machines;
    assert.equal(machine?.name, "observability-vm");
    assert.deepEqual(
      machine.networks.map(({ address }) => address),
      ["192.168.122.250"],
    );
    assert.ok(machine.vcpus >= 2 && machine.vcpus <= 4);
    assert.ok(machine.memoryMiB >= 4096 && machine.memoryMiB <= 8192);
    assert.ok(machine.rootVolume.sizeGiB >= 20 && machine.rootVolume.sizeGiB <= 40);
    assert.equal(config.ssh.user, "deploy");
    assert.equal(config.observability?.path, "/home/deploy/lab/app");
    assert.equal(config.observability.machine, "observability-vm");
  });

  it("shares the embedded hypervisor and volume group with the local lab", () => {
    const [own, local] = [parseConfig(raw), parseConfig(read("Pulumi.local.yaml"))];
    assert.equal(own.embedded?.name, local.embedded?.name);
    assert.equal(own.hypervisors[0]?.volumeGroup, local.hypervisors[0]?.volumeGroup);
  });
});

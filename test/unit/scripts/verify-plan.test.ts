import assert from "node:assert/strict";
import {
  type Check,
  type GuestSighting,
  judge,
  parseGuestProbe,
  planWanted,
  type Sighting,
} from "../../../scripts/lib/verify-plan.ts";

const guest: GuestSighting = {
  ...{ addresses: ["192.168.122.250"], engine: "28.0.1", compose: "2.40.3" },
  ...{ freeBytes: { "/": 12e9 }, internet: true, store: false },
};
const well: Sighting = {
  ...{ machine: "observability-vm", address: "192.168.122.250" },
  ...{ domain: { state: "running" }, guest },
};
const wanted = planWanted("pull", false);
const failures = (checks: readonly Check[]): string[] =>
  checks.filter(({ status }) => status === "failed").map(({ name }) => name);

describe("judge", () => {
  it("passes a machine on which all is well", () => {
    const checks = judge(well, wanted);
    assert.deepEqual(
      checks.map(({ status }) => status),
      Array<string>(7).fill("passed"),
    );
  });

  const ill: [string, Sighting, Check["name"]][] = [
    ["a domain that is off", { ...well, domain: { state: "shut off" } }, "running"],
    ["a libvirt that is silent", { ...well, domain: { problem: "no answer" } }, "running"],
    ["another address", { ...well, guest: { ...guest, addresses: ["10.0.0.1"] } }, "address"],
    ["Compose V1", { ...well, guest: { ...guest, compose: "1.29.2" } }, "compose"],
    [
      "a full disk",
      { ...well, guest: { ...guest, freeBytes: { "/": 12e9, "/var": 1e9 } } },
      "disk",
    ],
    ["exactly the limit", { ...well, guest: { ...guest, freeBytes: { "/": 10e9 } } }, "disk"],
    ["no way out", { ...well, guest: { ...guest, internet: false } }, "network"],
  ];
  for (const [what, sighting, name] of ill)
    it(`fails ${what}, and says what to do`, () => {
      const checks = judge(sighting, wanted);
      assert.deepEqual(failures(checks), [name]);
      assert.ok(checks.every(({ status, next }) => (status === "failed") === (next !== undefined)));
    });

  it("wants little room where no lab runs, unless it is told otherwise", () => {
    const small = { ...well, guest: { ...guest, freeBytes: { "/": 1e9 } } };
    const plain = planWanted(undefined, true);
    assert.deepEqual(failures(judge(small, plain)), []);
    const full = judge({ ...well, guest: { ...guest, freeBytes: { "/": 0.5e9 } } }, plain);
    assert.deepEqual(failures(full), ["disk"]);
    assert.doesNotMatch(full.find(({ name }) => name === "disk")?.next ?? "", /docker/);
    assert.deepEqual(failures(judge(small, { ...plain, minimumFreeBytes: 2e9 })), ["disk"]);
  });

  it("fails SSH once and skips what hangs on it", () => {
    const { machine } = well;
    const domain = { state: "running" };
    const checks = judge({ machine, domain, sshProblem: "Cannot reach it." }, wanted);
    assert.deepEqual(failures(checks), ["ssh"]);
    assert.equal(checks.filter(({ status }) => status === "skipped").length, 5);
  });

  it("expects no address of a host that is no machine of the stack", () => {
    const checks = judge({ machine: "lab.example.org", guest }, wanted);
    const skipped = checks.filter(({ status }) => status === "skipped").map(({ name }) => name);
    assert.deepEqual([failures(checks), skipped], [[], ["running", "address"]]);
  });

  it("asks for Docker and the network only where something needs them", () => {
    const { addresses, freeBytes } = guest;
    const bare = { ...well, guest: { addresses, freeBytes, internet: false, store: false } };
    assert.deepEqual(failures(judge(bare, wanted)), ["docker", "compose", "network"]);
    assert.deepEqual(failures(judge(bare, planWanted(undefined, true))), []);
  });
});

describe("planWanted", () => {
  it("expects no network of the embedded hypervisor, nor of a lab whose images are built", () => {
    assert.deepEqual(planWanted(undefined, false), { docker: false, network: true });
    assert.deepEqual(planWanted(undefined, true), { docker: false, network: false });
    assert.deepEqual(planWanted("build", false), { docker: true, network: false });
    assert.deepEqual(planWanted("pull", true), { docker: true, network: true });
  });
});

describe("parseGuestProbe", () => {
  const record = (key: string, text: string): string =>
    `@${key}\t${Buffer.from(text).toString("base64")}\n`;

  it("reads addresses, versions, disks and reach", () => {
    const output =
      record("addresses", "192.168.122.250\n172.17.0.1") +
      record("engine", "28.0.1") +
      record("compose", "") +
      record("disk", " 5000000000 /\n12000000000 /var/lib/docker volumes") +
      record("store", "yes");
    assert.deepEqual(parseGuestProbe(output), {
      addresses: ["192.168.122.250", "172.17.0.1"],
      engine: "28.0.1",
      freeBytes: { "/": 5e9, "/var/lib/docker volumes": 12e9 },
      ...{ internet: false, store: true },
    });
  });

  it("takes silence for nothing seen", () => {
    const seen = parseGuestProbe("");
    assert.deepEqual(seen, { addresses: [], freeBytes: {}, internet: false, store: false });
  });
});

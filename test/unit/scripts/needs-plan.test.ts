import assert from "node:assert/strict";
import { parseConfig } from "../../../config.ts";
import { isLocal, planDiskNeeds } from "../../../scripts/lib/needs-plan.ts";

const gib = 1024 ** 3;

describe("isLocal", () => {
  it("takes no URI and a socket for this machine, and SSH for another", () => {
    assert.equal(isLocal(undefined), true);
    assert.equal(isLocal("qemu:///system"), true);
    assert.equal(isLocal("qemu+unix:///system?socket=/run/x/libvirt-sock"), true);
    assert.equal(isLocal("qemu+ssh://root@hv1.example.org/system"), false);
  });
});

describe("planDiskNeeds", () => {
  const machine = (name: string, hypervisor: string, address: string): object => ({
    name,
    hypervisor,
    rootVolume: { image: "debian", sizeGiB: 4 },
    volumes: [{ name: "data", sizeGiB: 3 }],
    networks: [{ network: hypervisor, address }],
  });
  const sections = {
    "groundwork:images": [{ name: "debian", build: { sizeGiB: 2 } }, { name: "other" }],
    "groundwork:hypervisors": [
      { name: "local", volumeGroup: "groundwork" },
      { name: "far", uri: "qemu+ssh://root@hv1/system", volumeGroup: "vg0" },
    ],
    "groundwork:networks": [
      { name: "local", hypervisor: "local", cidr: "192.168.150.0/24" },
      { name: "far", hypervisor: "far", cidr: "192.168.151.0/24" },
    ],
    "groundwork:machines": [
      machine("vm1", "local", "192.168.150.10"),
      machine("vm2", "far", "192.168.151.10"),
    ],
  };

  it("counts the volumes of this machine's guests, and images wherever they lie", () => {
    const config = parseConfig({ ...sections, "groundwork:embedded": {} });
    assert.deepEqual(planDiskNeeds(config), { homeBytes: 11 * gib, cacheBytes: 2 * gib });
  });

  it("leaves out the volumes where the volume group is not in the home folder", () => {
    assert.equal(planDiskNeeds(parseConfig(sections)).homeBytes, 0);
  });
});

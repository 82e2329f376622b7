import assert from "node:assert/strict";
import { planHosts, planInterface, planNetwork } from "../../../../components/planning/network.ts";

describe("planNetwork", () => {
  it("takes libvirt's host address for gateway and name server", () => {
    assert.deepEqual(
      planNetwork({ mode: "nat", cidr: "10.1.0.0/16", dhcp: true, domain: "lab.internal" }),
      {
        prefix: 16,
        gateway: "10.1.0.1",
        nameservers: ["10.1.0.1"],
        domain: "lab.internal",
        reservations: true,
        routerAdvertisements: false,
      },
    );
  });

  it("guesses neither gateway nor name server behind a bridge", () => {
    assert.deepEqual(planNetwork({ mode: "bridge", cidr: "10.1.0.0/16", dhcp: true }), {
      prefix: 16,
      nameservers: [],
      reservations: false,
      routerAdvertisements: true,
    });
  });

  it("uses the gateway that is given, and the name servers beside it", () => {
    const plan = planNetwork({
      mode: "bridge",
      cidr: "10.1.0.0/16",
      gateway: "10.1.255.254",
      nameservers: ["9.9.9.9"],
      dhcp: false,
    });
    assert.equal(plan.gateway, "10.1.255.254");
    assert.deepEqual(plan.nameservers, ["9.9.9.9"]);
  });

  it("asks for reservations only where DHCP is on, and in no network that is not ours", () => {
    const existing = planNetwork({ mode: "existing", cidr: "10.1.0.0/16", dhcp: true });
    assert.equal(existing.reservations, false);
    assert.equal(
      planNetwork({ mode: "nat", cidr: "10.1.0.0/16", dhcp: false }).reservations,
      false,
    );
  });
});

describe("planInterface", () => {
  const plan = planNetwork({ mode: "nat", cidr: "10.1.0.0/16", dhcp: true });

  it("writes a fixed address with the prefix of the subnet", () => {
    assert.deepEqual(planInterface(plan, { mac: "m", address: "10.1.0.5", dhcp: false }), {
      mac: "m",
      address: {
        cidr: "10.1.0.5/16",
        gateway: "10.1.0.1",
        nameservers: ["10.1.0.1"],
        routerAdvertisements: false,
      },
    });
  });

  it("leaves a reserved address to DHCP", () => {
    assert.equal(
      planInterface(plan, { mac: "m", address: "10.1.0.5", dhcp: true }).address,
      "dhcp",
    );
  });
});

describe("planHosts", () => {
  it("names every machine on the network, and no other", () => {
    const machines = [
      { name: "a", networks: [{ network: "lab", address: "10.0.0.2" }] },
      {
        name: "b",
        networks: [
          { network: "other", address: "10.1.0.3" },
          { network: "lab", address: "10.0.0.3" },
        ],
      },
      { name: "c", networks: [{ network: "other", address: "10.1.0.4" }] },
    ];
    assert.deepEqual(planHosts("lab", machines), [
      { hostname: "a", address: "10.0.0.2" },
      { hostname: "b", address: "10.0.0.3" },
    ]);
  });
});

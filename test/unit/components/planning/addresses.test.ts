import assert from "node:assert/strict";
import fc from "fast-check";
import {
  contains,
  deriveMac,
  deriveUuid,
  dhcpRangeOf,
  gatewayOf,
  inDhcpRange,
  netmaskOf,
  overlap,
  parseAddress,
  parseCidr,
  renderAddress,
  requireCidr,
  type Subnet,
} from "../../../../components/planning/addresses.ts";

const address = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const subnet = fc
  .record({ prefix: fc.integer({ min: 8, max: 29 }), inside: address })
  .map(({ prefix, inside }): Subnet => {
    const size = 2 ** (32 - prefix);
    const network = inside - (inside % size);
    return { prefix, network, broadcast: network + size - 1 };
  });
const text = ({ network, prefix }: Subnet): string => `${renderAddress(network)}/${String(prefix)}`;

describe("parseAddress", () => {
  it("reads what renderAddress writes", () => {
    fc.assert(
      fc.property(address, (number) => {
        assert.equal(parseAddress(renderAddress(number)), number);
      }),
    );
  });

  for (const wrong of [
    "",
    "1.2.3",
    "1.2.3.4.5",
    "256.0.0.1",
    "01.2.3.4",
    "1.2.3.4 ",
    "1.2.3.-4",
    "::1",
    "1e1.0.0.1",
  ])
    it(`refuses ${JSON.stringify(wrong)}`, () => {
      assert.equal(parseAddress(wrong), undefined);
    });
});

describe("parseCidr", () => {
  it("reads every subnet whose address is its own", () => {
    fc.assert(
      fc.property(subnet, (each) => {
        assert.deepEqual(parseCidr(text(each)), each);
      }),
    );
  });

  it("refuses a subnet with host bits", () => {
    fc.assert(
      fc.property(subnet, fc.nat(), (each, offset) => {
        const size = each.broadcast - each.network + 1;
        const inside = each.network + 1 + (offset % (size - 1));
        assert.equal(parseCidr(`${renderAddress(inside)}/${String(each.prefix)}`), undefined);
      }),
    );
  });

  for (const wrong of [
    "10.0.0.0",
    "10.0.0.0/7",
    "10.0.0.0/30",
    "10.0.0.0/08",
    "10.0.0.0/24/1",
    "x/24",
  ])
    it(`refuses ${wrong}`, () => {
      assert.equal(parseCidr(wrong), undefined);
    });
});

describe("a subnet", () => {
  it("knows its gateway and netmask", () => {
    assert.equal(gatewayOf(requireCidr("192.168.150.0/24")), "192.168.150.1");
    assert.equal(netmaskOf(requireCidr("192.168.150.0/24")), "255.255.255.0");
    assert.equal(netmaskOf(requireCidr("10.0.0.0/8")), "255.0.0.0");
    assert.equal(netmaskOf(requireCidr("10.0.0.8/29")), "255.255.255.248");
  });

  it("hands out addresses of the upper half only, never the broadcast address", () => {
    assert.deepEqual(dhcpRangeOf(requireCidr("192.168.150.0/24")), {
      start: "192.168.150.128",
      end: "192.168.150.254",
    });
    fc.assert(
      fc.property(subnet, fc.nat(), (each, offset) => {
        const size = each.broadcast - each.network + 1;
        const number = each.network + (offset % size);
        const upper = offset % size >= size / 2 && number !== each.broadcast;
        assert.equal(inDhcpRange(each, renderAddress(number)), upper);
        assert.ok(contains(each, renderAddress(number)));
        assert.ok(!inDhcpRange(each, gatewayOf(each)));
      }),
    );
  });

  it("overlaps another exactly when they share an address", () => {
    fc.assert(
      fc.property(subnet, subnet, (one, other) => {
        const shared =
          contains(one, renderAddress(other.network)) ||
          contains(other, renderAddress(one.network));
        assert.equal(overlap(one, other), shared);
        assert.equal(overlap(other, one), shared);
      }),
    );
  });
});

describe("deriveMac", () => {
  it("gives the same address in every run", () => {
    assert.equal(deriveMac("local", "vm1", "0"), deriveMac("local", "vm1", "0"));
    assert.equal(deriveMac("local", "vm1", "0"), "52:54:00:E9:97:FC");
  });

  it("is unicast, locally administered and in QEMU's range", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (stack, machine, network) => {
        assert.match(deriveMac(stack, machine, network), /^52:54:00(:[0-9A-F]{2}){3}$/);
      }),
    );
  });

  it("tells parts apart that read the same when joined", () => {
    assert.notEqual(deriveMac("a", "bc", "0"), deriveMac("ab", "c", "0"));
  });
});

describe("deriveUuid", () => {
  it("is a UUID of version 8, the same in every run and another for every name", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (stack, name) => {
        const uuid = deriveUuid("domain", stack, name);
        assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        assert.equal(deriveUuid("domain", stack, name), uuid);
        assert.notEqual(deriveUuid("domain", stack, `${name}x`), uuid);
      }),
    );
  });
});

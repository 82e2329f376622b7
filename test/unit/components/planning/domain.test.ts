import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import fc from "fast-check";
import {
  type DomainWish,
  type HostOffer,
  planDomain,
} from "../../../../components/planning/domain.ts";
import {
  type DomainSettings,
  renderDomainXslt,
} from "../../../../components/planning/domain-xslt.ts";
import { renderNetworkXslt } from "../../../../components/planning/network.ts";
import { assertGolden } from "../../../support/golden.ts";
import { requireNeeds } from "../../../support/needs.ts";

const uefi = { code: "/ovmf/code.fd", vars: "/ovmf/vars.fd" };
const uefiSecure = { code: "/ovmf/code.ms.fd", vars: "/ovmf/vars.ms.fd" };
const offer: HostOffer = { accelerator: "kvm", firmware: { uefi, uefiSecure } };
const wish: DomainWish = {
  stack: "lab",
  owner: "groundwork/lab",
  name: "vm1",
  firmware: "uefi",
  vnc: false,
  guestAgent: true,
  volumes: ["data"],
  serialLogPath: "/srv/lab/logs/vm1.log",
  nvramPath: "/srv/lab/nvram/vm1.fd",
};

describe("planDomain", () => {
  it("passes the host's CPU on with KVM and emulates all it can without", () => {
    const { type, cpuMode } = planDomain(wish, offer);
    assert.deepEqual([type, cpuMode], ["kvm", "host-passthrough"]);
    const emulated = planDomain(wish, { ...offer, accelerator: "qemu" });
    assert.deepEqual([emulated.type, emulated.cpuMode], ["qemu", "maximum"]);
  });

  it("emulates on a host with KVM where the machine says so", () => {
    assert.equal(planDomain({ ...wish, accelerator: "qemu" }, offer).type, "qemu");
  });

  it("refuses KVM where no guest runs with it", () => {
    assert.throws(
      () => planDomain({ ...wish, accelerator: "kvm" }, { ...offer, accelerator: "qemu" }),
      { code: "kvm-missing", message: /machine "vm1"/ },
    );
  });

  it("names firmware and variables, so that nothing is chosen by libvirt", () => {
    const plan = planDomain(wish, offer);
    assert.equal(plan.firmware, uefi.code);
    assert.deepEqual(plan.nvram, { file: wish.nvramPath, template: uefi.vars });
    const secure = planDomain({ ...wish, firmware: "uefi-secure" }, offer);
    assert.equal(secure.firmware, uefiSecure.code);
    assert.equal(secure.settings.secureBoot, true);
  });

  it("leaves BIOS to QEMU, whatever the host has", () => {
    const plan = planDomain({ ...wish, firmware: "bios" }, { ...offer, firmware: {} });
    assert.equal(plan.firmware, undefined);
    assert.equal(plan.nvram, undefined);
  });

  for (const firmware of ["uefi", "uefi-secure"] as const)
    it(`refuses ${firmware} where the host has none, and says what to do`, () => {
      assert.throws(() => planDomain({ ...wish, firmware }, { ...offer, firmware: {} }), {
        code: "firmware-missing",
        message: /Install OVMF there/,
      });
    });
});

/** Applies a stylesheet as the provider does. */
function transform(xslt: string, xml: string): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "groundwork-xslt-"));
  try {
    fs.writeFileSync(path.join(folder, "s.xsl"), xslt);
    fs.writeFileSync(path.join(folder, "d.xml"), xml);
    const result = spawnSync("xsltproc", ["--nonet", "--nowrite", "s.xsl", "d.xml"], {
      cwd: folder,
      encoding: "utf8",
    });
    assert.equal(result.status, 0, result.stderr);
    return result.stdout;
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

const golden = (name: string): string => fs.readFileSync(path.resolve("test/golden", name), "utf8");

describe("renderDomainXslt", function () {
  before(function () {
    requireNeeds(this, ["xsltproc"]);
  });

  const plain = planDomain(wish, offer).settings;
  const bindings = {
    imageDigest: "fa4594d2",
    interfaces: [{ mac: "52:54:00:AA:BB:CC", network: "76d6d993" }],
  };
  const apply = (settings: DomainSettings): string =>
    transform(renderDomainXslt(settings, bindings), golden("domain-from-provider.xml"));

  it("makes of the provider's domain what the golden file shows", () => {
    assertGolden("domain.xml", apply(plain));
  });

  it("gives a domain with Secure Boot SMM, and a screen on the loopback address", () => {
    assertGolden(
      "domain-secure-vnc.xml",
      apply({ ...plain, secureBoot: true, vnc: true, guestAgent: false }),
    );
  });

  it("uses volumes raw and past the page cache, and the seed read-only", () => {
    const xml = apply(plain);
    const disks = xml.match(/<disk .*?<\/disk>/gs) ?? [];
    assert.equal(disks.length, 3);
    for (const disk of disks.slice(0, 2)) {
      assert.match(disk, /type="raw" cache="none" io="native" discard="unmap"/);
      assert.doesNotMatch(disk, /readonly/);
    }
    assert.match(disks[2] ?? "", /<readonly\/>/);
    assert.doesNotMatch(disks[2] ?? "", /cache=/);
  });

  it("boots from the first disk and from no other device", () => {
    const xml = apply(plain);
    assert.equal(xml.match(/<boot /g)?.length, 1);
    assert.match(xml, /dev="\/dev\/vg\/vm1-root"[^]*?<boot order="1"\/>[^]*?<\/disk>/);
  });

  it("has no screen unless it is asked for, and never one beyond loopback", () => {
    assert.doesNotMatch(apply(plain), /<graphics|<video/);
    const screen = apply({ ...plain, vnc: true });
    assert.match(screen, /<graphics type="vnc"/);
    assert.doesNotMatch(screen, /spice|0\.0\.0\.0/);
  });

  it("makes another stylesheet when an interface is attached to something else, or has another reservation", () => {
    const [mac, network] = ["52:54:00:AA:BB:CC", "76d6d993"];
    const all = [
      { mac, network },
      { mac, network: "other" },
      { mac, network, reserved: "192.168.177.12" },
      { mac, network, reserved: "192.168.177.13" },
    ].map((each) => renderDomainXslt(plain, { ...bindings, interfaces: [each] }));
    assert.equal(new Set(all).size, all.length);
  });

  it("makes another stylesheet when another image is on the root volume", () => {
    assert.notEqual(
      renderDomainXslt(plain, { ...bindings, imageDigest: "0b" }),
      renderDomainXslt(plain, bindings),
    );
  });

  it("writes hostile texts as they are, into attributes and elements alike", () => {
    const printable = fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(printable, printable, (owner, serial) => {
        const xml = apply({ ...plain, owner, serialLogPath: `/l/${owner}`, volumes: [serial] });
        const decoded = (text: string): string =>
          text
            .replaceAll("&lt;", "<")
            .replaceAll("&gt;", ">")
            .replaceAll("&quot;", '"')
            .replaceAll("&amp;", "&");
        assert.equal(decoded(/ owner="([^"]*)"/.exec(xml)?.[1] ?? ""), owner);
        assert.equal(decoded(/<log file="([^"]*)"/.exec(xml)?.[1] ?? ""), `/l/${owner}`);
        if (serial.trim() !== "")
          assert.equal(decoded(/<serial>([^<]*)<\/serial>/.exec(xml)?.[1] ?? ""), serial);
      }),
      { numRuns: 30 },
    );
  });
});

describe("renderNetworkXslt", function () {
  before(function () {
    requireNeeds(this, ["xsltproc"]);
  });

  it("narrows DHCP to the upper half and says whose network it is", () => {
    const xslt = renderNetworkXslt("192.168.155.0/24", "groundwork/lab");
    assertGolden("network.xml", transform(xslt, golden("network-from-provider.xml")));
  });

  it("adds no DHCP where there is none", () => {
    const xslt = renderNetworkXslt("192.168.155.0/24", "groundwork/lab");
    const xml = '<network><name>lab</name><ip address="192.168.155.1" prefix="24"/></network>';
    assert.doesNotMatch(transform(xslt, xml), /dhcp|range/);
  });
});

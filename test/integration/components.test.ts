import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { type EmbeddedFacts, ensureEmbedded } from "../../embedded/index.ts";
import { type CheckoutCopy, copyCheckout } from "../support/checkout-copy.ts";
import { editStackFile, renderStackFile, succeed } from "../support/lab-driver.ts";
import { minioProgram, openMinio } from "../support/minio.ts";
import { requireNeeds } from "../support/needs.ts";
import { freePort } from "../support/scratch.ts";

const stack = "parts";
const name = `gwparts-${process.pid.toString(36)}`;
const [efi, bios] = ["parts1", "parts2"];
const biosMac = "52:54:00:00:77:0b";

/** Two machines that boot from nothing: no test here waits for them, and they hear no power button. */
const machines = [
  {
    ...{ name: efi, hypervisor: "local", vcpus: 2, memoryMiB: 256, vnc: true },
    rootVolume: { image: "empty", sizeGiB: 1, shutdownTimeoutSeconds: 1 },
    volumes: [{ name: "data", sizeGiB: 1 }],
    networks: [{ network: name, address: "192.168.177.11" }],
  },
  {
    ...{ name: bios, hypervisor: "local", vcpus: 1, memoryMiB: 192, firmware: "bios" },
    rootVolume: { image: "empty", sizeGiB: 1, shutdownTimeoutSeconds: 1 },
    networks: [{ network: name, address: "192.168.177.12", dhcp: true, mac: biosMac }],
    autostart: false,
  },
];

describe("the components on a real libvirt", function () {
  this.timeout(5 * 60_000);
  this.bail(true);
  let lab: CheckoutCopy | undefined;
  let facts: EmbeddedFacts;

  const shell = (command: string): Promise<string> => {
    assert.ok(lab);
    return succeed(lab.shell(command, 200));
  };
  const pulumi = (args: string): Promise<string> =>
    shell(`node_modules/.bin/pulumi ${args} --non-interactive --stack ${stack}`);
  const up = (): Promise<string> => pulumi("up --yes --skip-preview --exclude '**MachineReady**'");
  const virsh = (...args: string[]): string =>
    execFileSync("virsh", ["-c", facts.hypervisor.uri, ...args], { encoding: "utf8" });
  const names = (...args: string[]): string[] =>
    virsh(...args, "--name")
      .trim()
      .split(/\s+/)
      .sort();
  const volumes = (): string[] =>
    execFileSync("lvs", ["--noheadings", "-o", "lv_name,lv_uuid", name], {
      encoding: "utf8",
      env: { ...process.env, LVM_SUPPRESS_FD_WARNINGS: "1" },
    })
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "")
      .sort();
  const configure = (...edits: Parameters<typeof editStackFile>[1]): void => {
    assert.ok(lab);
    fs.writeFileSync(lab.stackFile, editStackFile(fs.readFileSync(lab.stackFile, "utf8"), edits));
  };

  before(async function () {
    requireNeeds(this, ["root", "loop", "lvm", "netns", "mountns", "qemu", "ovmf", "libvirt"]);
    requireNeeds(this, ["minio", "pulumi", "mkisofs"]);
    const port = await freePort();
    lab = copyCheckout(
      stack,
      editStackFile(renderStackFile({ name, machine: efi, port }), [
        [["images"], [{ name: "empty" }]],
        [["machines"], machines],
      ]),
    );
    const endpoint = `http://127.0.0.1:${String(port)}`;
    facts = await ensureEmbedded(
      {
        ...{ home: lab.home, name, volumeGroup: name, volumeGroupSizeGiB: 4 },
        objectStore: { endpoint, bucket: "images", region: "us-east-1" },
        minioBinary: minioProgram(),
      },
      () => undefined,
    );
    await upload(facts.objectStore.credentialsFile, port, path.join(lab.folder, "empty.qcow2"));
    await shell(`npx pulumi stack init ${stack}`);
  });

  after(async () => {
    if (lab !== undefined) await succeed(lab.make("down"));
    lab?.remove();
  });

  it("make networks, pools, volumes, seeds and running domains", async () => {
    await up();
    assert.deepEqual(names("list"), [efi, bios]);
    assert.equal(volumes().length, 3);

    const network = virsh("net-dumpxml", name);
    assert.match(network, /<forward mode='nat'/);
    assert.match(network, /<range start='192\.168\.177\.128' end='192\.168\.177\.254'/);
    assert.match(network, new RegExp(`<host mac='${biosMac}'[^>]* ip='192\\.168\\.177\\.12'`, "i"));
    for (const machine of [efi, bios])
      assert.match(network, new RegExp(`<hostname>${machine}</hostname>`));
  });

  it("give a domain what the configuration says", () => {
    const xml = virsh("dumpxml", efi);
    assert.match(xml, /<memory unit='KiB'>262144</);
    assert.match(xml, /<vcpu[^>]*>2</);
    assert.match(xml, /machine='pc-q35-/);
    assert.match(xml, /<loader readonly='yes'[^>]*type='pflash'>/);
    assert.match(xml, /<graphics type='vnc'[^>]*listen='127\.0\.0\.1'/);
    const disks = [...xml.matchAll(/<source (?:dev|pool)=[^>]*>[\s\S]*?<target dev='(\w+)'/g)];
    assert.deepEqual(
      disks.map(([, target]) => target),
      ["vda", "vdb", "vdc"],
    );
    assert.match(xml, new RegExp(`<source dev='/dev/${name}/${efi}-root'`));
    assert.match(virsh("dominfo", efi), /Autostart: +enable/);

    const other = virsh("dumpxml", bios);
    assert.doesNotMatch(other, /<loader|<graphics/);
    assert.match(other, new RegExp(`<mac address='${biosMac}'`, "i"));
    assert.match(virsh("dominfo", bios), /Autostart: +disable/);
  });

  it("have nothing to do afterwards, a refresh included", async () => {
    const moving = "--exclude '**HostFacts**'"; // free memory comes and goes
    await pulumi(`refresh --yes --expect-no-changes ${moving}`);
    await pulumi(`preview --expect-no-changes --exclude '**MachineReady**' ${moving}`);
  });

  it("change in place what can be, and make a domain anew beside its volumes for the rest", async () => {
    const before = { efi: virsh("domid", efi), bios: virsh("domid", bios), volumes: volumes() };
    configure([["machines", 0, "autostart"], false], [["machines", 1, "memoryMiB"], 256]);
    const output = await up();
    assert.match(output, new RegExp(`${bios}: was switched off, for .* within 1 s`));
    assert.doesNotMatch(output, new RegExp(`${efi}: was switched off`));
    assert.match(virsh("dominfo", efi), /Autostart: +disable/);
    assert.equal(virsh("domid", efi), before.efi);
    assert.match(virsh("dominfo", bios), /Max memory: +262144 KiB/);
    assert.notEqual(virsh("domid", bios), before.bios);
    assert.deepEqual(volumes(), before.volumes);
  });

  it("reserve another address for a machine, which takes it by booting anew", async () => {
    configure([["machines", 1, "networks", 0, "address"], "192.168.177.13"]);
    await up();
    const reservations = virsh("net-dumpxml", name).match(/<host mac=.*/g) ?? [];
    assert.equal(reservations.length, 1);
    assert.match(reservations[0], /ip='192\.168\.177\.13'/);
    configure([["machines", 1, "networks", 0, "address"], "192.168.177.12"]);
  });

  it("attach a machine to a bridge of the host, beside a network of libvirt's, and make none", async () => {
    const bridge = "gwbr0";
    const { networkNamespace = "" } = facts.hypervisor;
    const link = (...args: string[]): string =>
      execFileSync("nsenter", [`--net=${networkNamespace}`, "ip", "link", ...args], {
        encoding: "utf8",
      });
    link("add", bridge, "type", "bridge");
    const networks = [
      { network: name, address: "192.168.177.12", dhcp: true, mac: biosMac },
      { network: "lan", address: "192.168.178.12", dhcp: true },
    ];
    configure(
      [
        ["networks", 1],
        { name: "lan", hypervisor: "local", mode: "bridge", bridge, cidr: "192.168.178.0/24" },
      ],
      [["machines", 1, "networks"], networks],
    );
    await up();
    assert.match(virsh("domiflist", bios), new RegExp(`bridge +${bridge} +virtio`));
    assert.deepEqual(names("net-list", "--all"), ["default", name].sort());
    assert.match(link("show", "master", bridge), /vnet/);
    // Its addresses come from whoever serves that bridge: libvirt reserves none there.
    assert.doesNotMatch(virsh("net-dumpxml", name), /192\.168\.178/);
    configure([["machines", 1, "networks"], networks.slice(0, 1)]);
    await up();
    assert.doesNotMatch(virsh("domiflist", bios), new RegExp(bridge));
  });

  it("bring back a domain that was removed by hand", async () => {
    const before = volumes();
    virsh("destroy", efi);
    virsh("undefine", efi, "--nvram");
    assert.match(await pulumi("refresh --yes"), /1 deleted/);
    await up();
    assert.deepEqual(names("list"), [efi, bios]);
    assert.deepEqual(volumes(), before);
  });

  it("leave nothing on it when they are destroyed", async () => {
    await pulumi("destroy --yes --skip-preview");
    assert.deepEqual(names("list", "--all"), [""]);
    assert.deepEqual(names("net-list", "--all"), ["default"]);
    assert.deepEqual(names("pool-list", "--all"), [""]);
    assert.deepEqual(volumes(), []);
  });
});

/** Puts an image without content into the store, with its checksum. */
async function upload(credentialsFile: string, port: number, file: string): Promise<void> {
  execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", file, "32M"]);
  const content = fs.readFileSync(file);
  const client = openMinio(port, credentialsFile);
  await client.putObject("images", "empty.qcow2", content);
  const digest = createHash("sha256").update(content).digest("hex");
  await client.putObject("images", "empty.qcow2.sha256", `${digest}  empty.qcow2\n`);
}

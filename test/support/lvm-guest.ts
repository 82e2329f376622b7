import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { renderNetworkConfig } from "../../cloud-init/render.ts";
import { ensureBuilt } from "../../images/effects/build.ts";
import { volumeGroupCommands } from "../../providers/volume-group/core/commands.ts";
import type { TestImage } from "./image-volume-lab.ts";
import { cacheFolder, type Need } from "./needs.ts";
import { type GuestKeys, QemuGuest, type SeedFiles } from "./qemu-guest.ts";
import { makeScratch, undoAtExit } from "./scratch.ts";
import type { TestVolumeGroup } from "./volume-group.ts";

/** What {@link lvmGuest} needs of the machine. */
export const lvmGuestNeeds: readonly Need[] = ["root", "mmdebstrap", "qemu", "mkisofs"];

const mac = "52:54:00:6b:00:02";
const disk = "/dev/disk/by-id/virtio-data";
const packages = ["lvm2", "qemu-utils", "thin-provisioning-tools", "xz-utils", "zstd"];

let running: Promise<LvmGuest> | undefined;

/** The guest of this test run: booted by whoever asks first, ended with the process. */
export function lvmGuest(): Promise<LvmGuest> {
  running ??= LvmGuest.boot();
  return running;
}

/** A hypervisor with true device mapper and an empty disk for LVM, reached as root over SSH. */
export class LvmGuest {
  readonly #guest: QemuGuest;

  private constructor(guest: QemuGuest) {
    this.#guest = guest;
  }

  static async boot(): Promise<LvmGuest> {
    const say = (line: string): void => {
      process.stderr.write(`    ${line}\n`);
    };
    const { image } = await ensureBuilt("lvm-host", { sizeGiB: 2, packages }, cacheFolder(), say);
    const guest = await QemuGuest.boot({
      ...{ image: image.path, firmware: "bios", user: "root", mac },
      ...{ seed: renderSeed, dataDiskBytes: 8 * 2 ** 30 },
    });
    say(`guest with LVM: SSH after ${(await guest.waitForSsh()).toFixed(0)} s`);
    // The image itself is set up; later boots need no cloud-init.
    guest.bash("touch /etc/cloud/cloud-init.disabled; modprobe dm_thin_pool; sync");
    return new LvmGuest(guest);
  }

  get uri(): string {
    return this.#guest.uri;
  }

  /** Runs a script as root and returns its standard output without the last line end. */
  bash(...lines: string[]): string {
    return this.#guest.bash(["set -euo pipefail", ...lines].join("\n"));
  }

  /** Makes a port of this machine's 127.0.0.1 one of the guest's, until it is switched off. */
  forward(port: number): void {
    const to = `10.0.2.2:${String(port)}`;
    this.bash(
      `systemd-run --quiet --unit=forward-${String(port)} systemd-socket-activate -l 127.0.0.1:${String(port)} /lib/systemd/systemd-socket-proxyd ${to}`,
      `until ss -Hltn "sport = ${String(port)}" | grep -q .; do sleep 0.1; done`,
    );
  }

  /** Cuts the guest's power. What it had not written to its disks is lost. */
  cutPower(): Promise<void> {
    return this.#guest.kill();
  }

  /** Switches it on again and waits until it lets in. */
  async powerOn(): Promise<void> {
    this.#guest.start();
    await this.#guest.waitForSsh();
  }

  /** A volume group on the guest's disk. One at a time. */
  makeVolumeGroup(): TestVolumeGroup {
    const scratch = makeScratch("vg");
    const name = `gwt${randomBytes(4).toString("hex")}`;
    const commands = volumeGroupCommands("device-mapper");
    const words = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== "");
    const lvs = (column: string, of: string): string[] =>
      words(this.bash(`lvs --noheadings -o ${column} ${of}`));
    this.bash(`vgcreate -q ${name} ${disk}`);
    const remove = undoAtExit(() => {
      this.bash(`vgremove -q -ff -y ${name}`, `pvremove -q -ff -y ${disk}`, `blkdiscard ${disk}`);
      scratch.remove();
    });
    return {
      ...{ name, folder: scratch.folder, device: disk, commands, remove },
      bash: (...fragments) => this.bash(commands.prelude, ...fragments),
      volumes: () => lvs("lv_name", name),
      tags: (volume) => lvs("lv_tags", `${name}/${volume}`).sort(),
    };
  }

  /** SHA-256 of a volume's first bytes, and whether all behind them is zero. */
  assertContent(device: string, image: Pick<TestImage, "raw" | "virtualBytes">): void {
    const bytes = String(image.virtualBytes);
    const expected = createHash("sha256").update(fs.readFileSync(image.raw)).digest("hex");
    const rest = `$(($(blockdev --getsize64 ${device}) - ${bytes}))`;
    const seen = this.bash(
      `head -c ${bytes} ${device} | sha256sum | cut -c1-64`,
      `cmp -i ${bytes}:0 -n ${rest} ${device} /dev/zero >&2`,
    );
    if (seen === expected) return;
    const differs = this.#differingMebibytes(device, image).join(", ");
    throw new Error(`${device} holds ${seen} and not ${expected}: MiB ${differs}`);
  }

  /** Which mebibytes of a volume are not those of the image, for the message of a failure. */
  #differingMebibytes(
    device: string,
    { raw, virtualBytes }: Pick<TestImage, "raw" | "virtualBytes">,
  ) {
    const count = Math.ceil(virtualBytes / 2 ** 20);
    const sums = this.bash(
      `for ((i = 0; i < ${String(count)}; i++)); do dd if=${device} bs=1M skip=$i count=1 status=none | sha256sum | cut -c1-64; done`,
    ).split("\n");
    const content = fs.readFileSync(raw);
    return sums.flatMap((sum, index) => {
      const piece = content.subarray(index * 2 ** 20, (index + 1) * 2 ** 20);
      return createHash("sha256").update(piece).digest("hex") === sum ? [] : [String(index)];
    });
  }
}

function renderSeed(keys: GuestKeys): SeedFiles {
  const config = {
    ...{ hostname: "lvm-host", disable_root: false, ssh_deletekeys: true },
    users: [{ name: "root", ssh_authorized_keys: [keys.userPublicKey] }],
    ssh_genkeytypes: ["ed25519"],
    ssh_keys: { ed25519_private: keys.hostKey, ed25519_public: keys.hostPublicKey },
    ...{ cloud_config_modules: [], cloud_final_modules: [] },
  };
  const address = {
    ...{ cidr: "10.0.2.15/24", gateway: "10.0.2.2", nameservers: [] },
    routerAdvertisements: false,
  };
  return {
    "user-data": `#cloud-config\n${JSON.stringify(config)}\n`, // which is YAML too
    "network-config": renderNetworkConfig([{ mac, address }]),
    "meta-data": "instance-id: lvm-host-1\nlocal-hostname: lvm-host\n",
  };
}

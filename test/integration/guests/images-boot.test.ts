import * as assert from "node:assert/strict";
import {
  renderMetaData,
  renderNetworkConfig,
  renderUserData,
  type Seed,
} from "../../../cloud-init/render.ts";
import { ensureBuilt } from "../../../images/effects/build.ts";
import { cacheFolder, requireNeeds } from "../../support/needs.ts";
import { type GuestKeys, QemuGuest, type SeedFiles } from "../../support/qemu-guest.ts";

const mac = "52:54:00:6b:00:01";

/** The seed that machines get. */
function renderSeed({ hostKey, hostPublicKey, userPublicKey }: GuestKeys): SeedFiles {
  const seed: Seed = {
    ...{ hostname: "image-test", user: "deploy", authorizedKeys: [userPublicKey], hostPublicKey },
    ...{ packages: [], files: [], guestAgent: true },
    commands: ["systemctl is-active ssh > /run/said-by-runcmd"],
    interfaces: [
      {
        mac,
        address: {
          cidr: "10.0.2.15/24",
          gateway: "10.0.2.2",
          nameservers: [],
          routerAdvertisements: false,
        },
      },
    ],
  };
  return {
    "user-data": renderUserData(seed, hostKey),
    "network-config": renderNetworkConfig(seed.interfaces),
    "meta-data": renderMetaData("image-test-1", seed.hostname),
  };
}

/** Once; without Secure Boot test/e2e boots it, and by BIOS the guest with LVM, which is built alike. */
describe("booting the Debian image", function () {
  this.timeout(1_200_000);
  let image: string;
  let guest: QemuGuest | undefined;
  const say = (line: string): void => {
    process.stderr.write(`    ${line}\n`);
  };

  before(async function () {
    requireNeeds(this, ["root", "mmdebstrap", "qemu", "ovmf", "mkisofs"]);
    const spec = { sizeGiB: 2, packages: [] };
    image = (await ensureBuilt("debian", spec, cacheFolder(), say)).image.path;
  });
  afterEach(() => {
    guest?.stop();
    guest = undefined;
  });

  it("comes by UEFI with Secure Boot, signed from end to end, to `cloud-init status: done`, configured as the seed says", async () => {
    guest = await QemuGuest.boot({
      ...{ image, firmware: "uefi", mac, user: "deploy", seed: renderSeed },
    });
    const grub = await guest.waitForSerial(/GRUB/);
    const initLocal = await guest.waitForSerial(/running 'init-local'/);
    const ssh = await guest.waitForSsh();
    await guest.ssh("until [ -e /run/cloud-init/result.json ]; do sleep 0.2; done");
    const [done, status] = [guest.seconds, await guest.ssh("cloud-init status --long")];
    const phases = { GRUB: grub, "cloud-init": initLocal, SSH: ssh, done };
    say(
      Object.entries(phases)
        .map(([name, at]) => `${name} ${at.toFixed(1)} s`)
        .join(", "),
    );
    say(await guest.ssh("systemd-analyze | head -n 1; systemd-analyze blame | head -n 8"));

    assert.match(status, /^status: done$/m);
    const facts = (
      await guest.ssh(`
        systemctl --failed --no-legend --plain | wc -l
        df --output=size -BG / | tail -n 1 | tr -d ' '
        hostname
        cat /run/said-by-runcmd
        systemctl is-active qemu-guest-agent
        ls /etc/ssh/ssh_host_*_key
        sudo -n id -u
        sudo sshd -T | grep -E '^(passwordauthentication|permitrootlogin) '
        test -s /etc/machine-id && echo has an id`)
    ).split("\n");
    assert.deepEqual(facts, [
      "0",
      "4G",
      "image-test",
      "active",
      "active",
      "/etc/ssh/ssh_host_ed25519_key",
      "0",
      "permitrootlogin without-password",
      "passwordauthentication no",
      "has an id",
    ]);
  });
});

import { createHash } from "node:crypto";
import { stringify } from "yaml";

/** How an interface gets its address. */
export interface SeedInterface {
  mac: string;
  /** `dhcp`, or the address with its prefix length, such as `192.168.150.10/24`. */
  address:
    | "dhcp"
    | {
        cidr: string;
        gateway?: string;
        nameservers: readonly string[];
        /** Whether to listen for IPv6 routers; where there is none, that costs 12 s at boot. */
        routerAdvertisements: boolean;
      };
  /** DNS search domain. */
  domain?: string;
}

export interface SeedFile {
  path: string;
  content: string;
  permissions: string;
  owner: string;
}

/** All that a machine is told at first boot, but for the private host key. */
export interface Seed {
  hostname: string;
  domain?: string;
  user: string;
  authorizedKeys: readonly string[];
  /** The public host key, one line. */
  hostPublicKey: string;
  packages: readonly string[];
  files: readonly SeedFile[];
  commands: readonly (string | readonly string[])[];
  /** Start the QEMU guest agent where the image has it. */
  guestAgent: boolean;
  /** The first one carries the default route. */
  interfaces: readonly SeedInterface[];
}

/**
 * cloud-init reads YAML 1.1, in which `no` and `0644` are no strings: so every string is quoted. Some
 * signs it takes for line ends or refuses, unless they are escaped.
 */
function renderYaml(value: unknown): string {
  const text = stringify(value, {
    version: "1.1",
    defaultStringType: "QUOTE_DOUBLE",
    defaultKeyType: "PLAIN",
    lineWidth: 0,
    aliasDuplicateObjects: false,
  });
  return text.replace(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const startGuestAgent = [
  "sh",
  "-c",
  "if command -v qemu-ga >/dev/null; then systemctl start qemu-guest-agent; fi",
];

/** The cloud-config. It holds the private host key, so it is a secret as a whole. */
export function renderUserData(seed: Seed, hostPrivateKey: string): string {
  const commands = [...(seed.guestAgent ? [startGuestAgent] : []), ...seed.commands];
  const config = {
    hostname: seed.hostname,
    ...(seed.domain !== undefined && { fqdn: `${seed.hostname}.${seed.domain}` }),
    prefer_fqdn_over_hostname: false,
    manage_etc_hosts: true,
    users: [
      {
        name: seed.user,
        lock_passwd: true,
        shell: "/bin/bash",
        sudo: "ALL=(ALL) NOPASSWD:ALL",
        ssh_authorized_keys: seed.authorizedKeys,
      },
    ],
    disable_root: true,
    ssh_pwauth: false,
    // The image's keys go, and none but the one we know is made.
    ssh_deletekeys: true,
    ssh_genkeytypes: ["ed25519"],
    ssh_keys: { ed25519_private: hostPrivateKey, ed25519_public: seed.hostPublicKey },
    ...(seed.packages.length > 0 && { package_update: true, packages: seed.packages }),
    ...(seed.files.length > 0 && {
      write_files: seed.files.map(({ path, content, permissions, owner }) => ({
        path,
        content,
        permissions,
        owner,
        // The owner may be a user that this very seed or one of its packages makes.
        ...(owner !== "root:root" && { defer: true }),
      })),
    }),
    ...(commands.length > 0 && { runcmd: commands }),
  };
  return `#cloud-config\n${renderYaml(config)}`;
}

function renderEthernet(each: SeedInterface, index: number): Record<string, unknown> {
  const base = { match: { macaddress: each.mac.toLowerCase() }, "set-name": `eth${String(index)}` };
  if (each.address === "dhcp")
    return {
      ...base,
      dhcp4: true,
      ...(index > 0 && { "dhcp4-overrides": { "use-routes": false } }),
    };
  const { cidr, gateway, nameservers, routerAdvertisements } = each.address;
  return {
    ...base,
    dhcp4: false,
    ...(!routerAdvertisements && { "accept-ra": false }),
    addresses: [cidr],
    ...(index === 0 && gateway !== undefined && { routes: [{ to: "0.0.0.0/0", via: gateway }] }),
    ...(nameservers.length > 0 && {
      nameservers: {
        addresses: nameservers,
        ...(each.domain !== undefined && { search: [each.domain] }),
      },
    }),
  };
}

/** The network configuration, version 2. Interfaces are found by their MAC address. */
export function renderNetworkConfig(interfaces: readonly SeedInterface[]): string {
  return renderYaml({
    version: 2,
    ethernets: Object.fromEntries(
      interfaces.map((each, index) => [`eth${String(index)}`, renderEthernet(each, index)]),
    ),
  });
}

/**
 * Names what the seed says and what is on the root volume, so that cloud-init runs anew when either
 * is another. The private key is left out: its public half stands for it, and the name may be shown.
 */
export function deriveInstanceId(seed: Seed, contentId?: string): string {
  const said = `${renderUserData(seed, "")}\n${renderNetworkConfig(seed.interfaces)}`;
  const text = contentId === undefined ? said : `${said}\n${contentId}`;
  const digest = createHash("sha256").update(text).digest("hex").slice(0, 12);
  return `${seed.hostname}-${digest}`;
}

export function renderMetaData(instanceId: string, hostname: string): string {
  return renderYaml({ "instance-id": instanceId, "local-hostname": hostname });
}

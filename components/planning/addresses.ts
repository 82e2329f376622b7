import { createHash } from "node:crypto";

/** An IPv4 subnet. Addresses are numbers, so that they compare and count. */
export interface Subnet {
  /** Bits of the network part, 8 to 29. */
  prefix: number;
  network: number;
  broadcast: number;
}

/** Reads a dotted IPv4 address; undefined for anything else, leading zeroes included. */
export function parseAddress(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part)))
    return undefined;
  const bytes = parts.map(Number);
  if (bytes.some((byte) => byte > 255)) return undefined;
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
}

export function isAddress(text: string): boolean {
  return parseAddress(text) !== undefined;
}

export function renderAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}

/** Reads `a.b.c.d/p`; undefined unless a.b.c.d is the network's own address and p is 8 to 29. */
export function parseCidr(text: string): Subnet | undefined {
  const [addressText = "", prefixText = "", ...rest] = text.split("/");
  const network = parseAddress(addressText);
  if (network === undefined || rest.length > 0 || !/^([89]|1\d|2\d)$/.test(prefixText))
    return undefined;
  const prefix = Number(prefixText);
  const size = 2 ** (32 - prefix);
  if (network % size !== 0) return undefined;
  return { prefix, network, broadcast: network + size - 1 };
}

/** The subnet behind a text that the configuration has checked. */
export function requireCidr(text: string): Subnet {
  const subnet = parseCidr(text);
  if (subnet === undefined) throw new RangeError(`not an IPv4 subnet: ${text}`);
  return subnet;
}

/** The first address, which libvirt gives to the hypervisor. */
export function gatewayOf(subnet: Subnet): string {
  return renderAddress(subnet.network + 1);
}

export function netmaskOf(subnet: Subnet): string {
  return renderAddress(2 ** 32 - 2 ** (32 - subnet.prefix));
}

/** What DHCP hands out: the upper half, so that the lower one is free for fixed addresses. */
export function dhcpRangeOf(subnet: Subnet): { start: string; end: string } {
  const middle = subnet.network + (subnet.broadcast + 1 - subnet.network) / 2;
  return { start: renderAddress(middle), end: renderAddress(subnet.broadcast - 1) };
}

export function contains(subnet: Subnet, address: string): boolean {
  const number = parseAddress(address);
  return number !== undefined && number >= subnet.network && number <= subnet.broadcast;
}

/** Whether the address is one that DHCP may give to anyone. */
export function inDhcpRange(subnet: Subnet, address: string): boolean {
  const { start, end } = dhcpRangeOf(subnet);
  const [low, number, high] = [start, address, end].map(parseAddress);
  return (
    low !== undefined &&
    number !== undefined &&
    high !== undefined &&
    low <= number &&
    number <= high
  );
}

export function overlap(one: Subnet, other: Subnet): boolean {
  return one.network <= other.broadcast && other.network <= one.broadcast;
}

function digestOf(parts: readonly string[]): Buffer {
  return createHash("sha256").update(JSON.stringify(parts)).digest();
}

/**
 * A MAC address that is the same in every run: locally administered, in QEMU's own range
 * 52:54:00, upper case as the libvirt provider writes it.
 */
export function deriveMac(stack: string, machine: string, network: string): string {
  const digest = digestOf(["mac", stack, machine, network]);
  return [0x52, 0x54, 0x00, ...digest.subarray(0, 3)]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join(":")
    .toUpperCase();
}

/**
 * A UUID that is the same in every run (version 8 of RFC 9562), so that defining a domain again
 * replaces the one that an interrupted run left.
 */
export function deriveUuid(kind: string, stack: string, name: string): string {
  const bytes = digestOf(["uuid", kind, stack, name]).subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join("-");
}

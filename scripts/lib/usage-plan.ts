/** What libvirt counts of a domain since it was started. */
export interface DomainCounters {
  name: string;
  /** libvirt's word, such as `running`. */
  state: string;
  vcpus: number;
  /** Processor time of all its virtual processors. */
  cpuSeconds: number;
  /** Assigned to the guest. */
  memoryBytes: number;
  /** Of the host's memory, by QEMU; 0 while it is off. */
  residentBytes: number;
  /** What the guest says is left to its programs; unknown where it has not said. */
  usableBytes?: number;
  diskReadBytes: number;
  diskWrittenBytes: number;
  networkInBytes: number;
  networkOutBytes: number;
}

/** A domain's use of its host, a second on the average between two looks. */
export interface DomainUsage {
  machine: string;
  state: string;
  vcpus: number;
  /** Of one processor: 100 is one of them, busy all the time. */
  cpuPercent: number;
  memoryBytes: number;
  residentBytes: number;
  usableBytes?: number;
  diskReadBytesPerSecond: number;
  diskWrittenBytesPerSecond: number;
  networkInBytesPerSecond: number;
  networkOutBytesPerSecond: number;
}

const states = ["no state", "running", "blocked", "paused", "in shutdown", "shut off", "crashed"];

/** Reads what `virsh domstats --raw` prints; lines of any other form are left out. */
export function parseDomainStats(printed: string): DomainCounters[] {
  return printed
    .split(/^Domain: /m)
    .slice(1)
    .map((text) => {
      const [first = "", ...lines] = text.split("\n");
      const values = new Map(
        lines.flatMap((line): [string, string][] => {
          const [, key, value] = /^\s+([a-z0-9._-]+)=(.*)$/.exec(line) ?? [];
          return key === undefined || value === undefined ? [] : [[key, value]];
        }),
      );
      return buildCounters(first.trim().replace(/^'(.*)'$/, "$1"), values);
    });
}

function buildCounters(name: string, values: ReadonlyMap<string, string>): DomainCounters {
  const number = (key: string): number => {
    const text = values.get(key) ?? "";
    return /^[0-9]{1,19}$/.test(text) ? Number(text) : 0;
  };
  const sum = (group: string, what: string): number => {
    let total = 0;
    for (let index = 0; index < Math.min(number(`${group}.count`), 64); index += 1)
      total += number(`${group}.${String(index)}.${what}`);
    return total;
  };
  const state = states[number("state.state")] ?? "unknown";
  const isOn = state !== "shut off" && state !== "crashed";
  return {
    ...{ name, state, vcpus: number("vcpu.current") },
    cpuSeconds: number("cpu.time") / 1e9,
    memoryBytes: number("balloon.current") * 1024,
    residentBytes: isOn ? number("balloon.rss") * 1024 : 0,
    ...(values.has("balloon.usable") && { usableBytes: number("balloon.usable") * 1024 }),
    diskReadBytes: sum("block", "rd.bytes"),
    diskWrittenBytes: sum("block", "wr.bytes"),
    networkInBytes: sum("net", "rx.bytes"),
    networkOutBytes: sum("net", "tx.bytes"),
  };
}

/**
 * What each domain used between two looks. A counter that fell (the domain was started anew) counts from
 * nothing.
 */
export function buildUsage(
  before: readonly DomainCounters[],
  after: readonly DomainCounters[],
  seconds: number,
): DomainUsage[] {
  return after.map((now) => {
    const then = before.find(({ name }) => name === now.name);
    const rate = (
      key: "cpuSeconds" | `disk${"Read" | "Written"}Bytes` | `network${"In" | "Out"}Bytes`,
    ): number => {
      const [from, to] = [then?.[key] ?? now[key], now[key]];
      return (to >= from ? to - from : to) / seconds;
    };
    return {
      ...{ machine: now.name, state: now.state, vcpus: now.vcpus },
      cpuPercent: Math.round(rate("cpuSeconds") * 1000) / 10,
      ...{ memoryBytes: now.memoryBytes, residentBytes: now.residentBytes },
      ...(now.usableBytes !== undefined && { usableBytes: now.usableBytes }),
      diskReadBytesPerSecond: Math.round(rate("diskReadBytes")),
      diskWrittenBytesPerSecond: Math.round(rate("diskWrittenBytes")),
      networkInBytesPerSecond: Math.round(rate("networkInBytes")),
      networkOutBytesPerSecond: Math.round(rate("networkOutBytes")),
    };
  });
}

/** A host's memory, as `virsh nodememstats` tells it in KiB. */
export function parseNodeMemory(printed: string): { totalBytes: number; availableBytes: number } {
  const kib = (name: string): number =>
    Number(new RegExp(`^${name}\\s*:\\s*([0-9]{1,15}) KiB`, "m").exec(printed)?.[1] ?? 0);
  return {
    totalBytes: kib("total") * 1024,
    availableBytes: (kib("free") + kib("buffers") + kib("cached")) * 1024,
  };
}

/** A volume group's size and what of it no volume has. */
export interface GroupUsage {
  name: string;
  sizeBytes: number;
  freeBytes: number;
}

/** Reads lines `name TAB size TAB free` with bytes. */
export function parseGroups(printed: string): GroupUsage[] {
  return printed.split("\n").flatMap((line) => {
    const [, name, size, free] = /^\s*(\S+)\t([0-9]{1,18})\t([0-9]{1,18})$/.exec(line) ?? [];
    return name === undefined ? [] : [{ name, sizeBytes: Number(size), freeBytes: Number(free) }];
  });
}

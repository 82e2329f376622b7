/**
 * `missing`: libvirt has no such domain. `off`: it does not run, and nobody else is to start it.
 * `other`: anything else, also where libvirt cannot be asked.
 */
export type Power = "missing" | "off" | "other";

/** The domains that libvirt has, and those that are off, by UUID. */
export interface DomainList {
  all: ReadonlySet<string>;
  off: ReadonlySet<string>;
}

/** Prints the UUIDs of all domains, `off:`, and the UUIDs of those that do not run. */
export function renderDomainList(virsh: string): string {
  const list = `timeout 10 ${virsh} list --all --uuid`;
  return `set -e\n${list}\necho off:\n${list} --state-shutoff`;
}

export function parseDomainList(printed: string): DomainList {
  const [all, off] = printed.split("off:").map((part) => new Set(part.match(/\S+/g)));
  return { all: all ?? new Set(), off: off ?? new Set() };
}

/** @param stopped by whom else it is to be started: what a snapshot, a revert or a new image has stopped */
export function judgePower(list: DomainList, stopped: ReadonlySet<string>, uuid: string): Power {
  if (!list.all.has(uuid)) return "missing";
  return list.off.has(uuid) && !stopped.has(uuid) ? "off" : "other";
}

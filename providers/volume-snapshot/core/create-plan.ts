import { formatBytes } from "../../image-volume/core/errors.ts";
import type { HostObservation, ObservedVolume } from "../../image-volume/core/parsers.ts";
import { describeOwner } from "../../image-volume/core/plan.ts";
import {
  descriptionLength,
  encodeTagText,
  snapshotName,
  snapshotVolume,
} from "../../image-volume/core/snapshot-tags.ts";
import { poolShortage } from "../../image-volume/core/thin.ts";
import { type Refusal, refuse } from "./errors.ts";
import { listSnapshots, type MachineVolume, type MachineVolumes } from "./snapshots.ts";

/** How a running machine is kept from writing: by its agent or else paused, switched off, not at all. */
export type Hold = "pause" | "stop" | "live";

export interface SnapshotWish {
  name: string;
  description: string;
  hold: Hold;
  nowSeconds: number;
}

/** A volume as it is, and what is made of it. */
export interface Source extends MachineVolume {
  seen: ObservedVolume;
  /** The volume that gets its content. */
  target: string;
  /** `clone`: in the same thin pool, at once · `copy`: onto a volume of its own. */
  how: "clone" | "copy";
}

export interface CreatePlan {
  kind: "create";
  /** What an interrupted run left under the names that are wanted. */
  remove: { volumeGroup: string; volumeName: string; seen: ObservedVolume }[];
  sources: Source[];
}

/** The machine's volumes as they are, or why nothing is to be done with them. */
export function findVolumes(
  machine: MachineVolumes,
  host: Pick<HostObservation, "volumes">,
): { kind: "found"; volumes: (MachineVolume & { seen: ObservedVolume })[] } | Refusal {
  const volumes: (MachineVolume & { seen: ObservedVolume })[] = [];
  for (const each of machine.volumes) {
    const id = `${each.volumeGroup}/${each.volumeName}`;
    const seen = host.volumes.get(id);
    if (seen === undefined)
      return refuse("volume-missing", `there is no volume "${id}"`, "Run `make up` first.");
    const { owner, state, reverting, growingFromBytes } = seen.marks;
    if (owner !== machine.owner)
      return refuse(
        "volume-not-ours",
        `volume "${id}" ${describeOwner(seen.marks)} and not to "${machine.owner}"`,
        "Choose the stack that owns it.",
      );
    if (reverting !== undefined)
      return refuse(
        "volume-reverting",
        `bringing back snapshot "${reverting.replace(/:.*/, "")}" was interrupted`,
        "Run that command once more first.",
      );
    if (state === undefined || growingFromBytes !== undefined)
      return refuse(
        "volume-unfinished",
        `volume "${id}" is being written, or that was interrupted`,
        "Run `make up` first.",
      );
    volumes.push({ ...each, seen });
  }
  return { kind: "found", volumes };
}

/** Which volumes a new snapshot consists of and how each is made, or why it cannot be taken. */
export function planCreate(
  machine: MachineVolumes,
  wish: SnapshotWish,
  host: Pick<HostObservation, "volumes" | "groups" | "pools">,
): CreatePlan | Refusal {
  const wrong = checkWish(wish);
  if (wrong !== undefined) return wrong;
  const found = findVolumes(machine, host);
  if (found.kind === "refusal") return found;
  const existing = listSnapshots(host.volumes, machine.owner, machine.machine).find(
    ({ name }) => name === wish.name,
  );
  if (existing?.whole === true)
    return refuse(
      "snapshot-exists",
      `${machine.machine} has a snapshot "${wish.name}" already`,
      "Choose another name, or delete that one.",
    );
  const sources = found.volumes.map((each): Source => {
    const how = each.seen.segmentType === "thin" ? "clone" : "copy";
    return { ...each, target: snapshotVolume(each.volumeName, wish.name), how };
  });
  const remove = (existing?.parts ?? []).map(({ volumeGroup, volumeName, volume }) => ({
    ...{ volumeGroup, volumeName, seen: volume },
  }));
  const leftovers = new Set(remove.map((each) => `${each.volumeGroup}/${each.volumeName}`));
  for (const { volumeGroup, target } of sources) {
    const id = `${volumeGroup}/${target}`;
    if (host.volumes.has(id) && !leftovers.has(id))
      return refuse("volume-not-ours", `"${id}" is something else`, "Choose another name.");
  }
  return (
    refuseLive(sources, wish.hold) ??
    refuseRoom(sources, host, remove) ?? { kind: "create", remove, sources }
  );
}

function checkWish({ name, description }: SnapshotWish): Refusal | undefined {
  if (!snapshotName.test(name))
    return refuse(
      "bad-snapshot-name",
      `${JSON.stringify(name.slice(0, 80))} is no name for one`,
      "Write 1 to 30 lower-case letters, digits and inner hyphens.",
    );
  const isText = !/[\p{Cc}\p{Cs}\u2028\u2029]/u.test(description);
  const fits =
    description.length <= descriptionLength && isText && encodeTagText(description).length <= 1000;
  if (fits) return undefined;
  return refuse(
    "bad-snapshot-description",
    "its description is too long, or is not one line of text",
    `Write one line of at most ${String(descriptionLength)} characters.`,
  );
}

/** What a machine writes while it is copied, or between two volumes, would be torn apart. */
function refuseLive(sources: readonly Source[], hold: Hold): Refusal | undefined {
  const running = sources.some(({ seen }) => seen.users.length > 0);
  const atOnce = sources.length === 1 && sources[0]?.how === "clone";
  if (hold !== "live" || !running || atOnce) return undefined;
  return refuse(
    "snapshot-live-refused",
    "the machine is running, and only a single thin volume has its content at one time",
    "Leave out --live.",
  );
}

function refuseRoom(
  sources: readonly Source[],
  { groups, pools }: Pick<HostObservation, "groups" | "pools">,
  freed: CreatePlan["remove"],
): Refusal | undefined {
  for (const { how, volumeGroup, seen } of sources) {
    const pool = pools.find((each) => each.volumeGroup === volumeGroup && each.name === seen.pool);
    const shortage = how === "clone" && pool ? poolShortage(pool, 0) : undefined;
    if (shortage !== undefined) return refuse("thin-pool-full", shortage.reason, shortage.next);
  }
  for (const [name, { freeBytes }] of groups) {
    const sum = (all: readonly { volumeGroup: string; seen: ObservedVolume }[]): number =>
      all
        .filter(({ volumeGroup, seen }) => volumeGroup === name && seen.segmentType !== "thin")
        .reduce((total, { seen }) => total + seen.sizeBytes, 0);
    const [needed, free] = [sum(sources), freeBytes + sum(freed)];
    if (needed > free)
      return refuse(
        "volume-group-full",
        `the copy needs ${formatBytes(needed)} and volume group "${name}" has ${formatBytes(free)} free`,
        "Delete snapshots or volumes, extend it with vgextend, or use thin volumes.",
      );
  }
  return undefined;
}

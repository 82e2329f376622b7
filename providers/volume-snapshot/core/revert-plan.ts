import { formatBytes } from "../../image-volume/core/errors.ts";
import type { HostObservation, ObservedVolume } from "../../image-volume/core/parsers.ts";
import { describeOwner, describeUsers } from "../../image-volume/core/plan.ts";
import { companions } from "../../image-volume/core/replace.ts";
import { asideVolume } from "../../image-volume/core/snapshot-tags.ts";
import { type Refusal, refuse } from "./errors.ts";
import {
  type MachineVolume,
  type MachineVolumes,
  type Snapshot,
  type SnapshotPart,
  snapshotReference,
} from "./snapshots.ts";

/** One of the machine's volumes, and all that stands beside it. */
export interface Reverted extends MachineVolume {
  part: SnapshotPart;
  seen?: ObservedVolume;
  /** What is to take its place. */
  next?: ObservedVolume;
  /** What has made place. */
  aside?: ObservedVolume;
  /** Where it is: nothing yet · the content stands beside it · it has the content. */
  stage: "untouched" | "prepared" | "switched";
}

/**
 * The next thing to do. `remove`: what an earlier run left · `prepare`: make the content stand beside a
 * volume · `switch`: put it in place of all of them, the machine off · `finish`: forget that it was done,
 * start the machine · `done`: only what had made place is left to remove.
 */
export type RevertPhase =
  | { kind: "remove"; volumeGroup: string; volumeName: string; seen: ObservedVolume }
  | { kind: "prepare"; reverted: Reverted; reference: string; bytes: number }
  | { kind: "switch" | "finish"; all: Reverted[]; reference: string };

export interface RevertWish {
  name: string;
  /** Whether the machine may be stopped for it. */
  stop: boolean;
}

/** The snapshot as it can be brought back, or why it cannot. */
export function findSnapshot(
  machine: MachineVolumes,
  name: string,
  snapshots: readonly Snapshot[],
): { kind: "found"; snapshot: Snapshot } | Refusal {
  const snapshot = snapshots.find((each) => each.name === name);
  if (snapshot === undefined) {
    const names = snapshots.map((each) => each.name).join(", ");
    return refuse(
      "snapshot-missing",
      `${machine.machine} has no snapshot "${name}"`,
      names === "" ? "Take one first." : `Choose one of: ${names}.`,
    );
  }
  if (!snapshot.whole)
    return refuse(
      "snapshot-incomplete",
      `snapshot "${name}" is not whole: taking or deleting it was interrupted, or one of its volumes is gone`,
      "Delete it.",
    );
  return { kind: "found", snapshot };
}

/** Looks at every volume of the snapshot; `undefined` parts are absent. */
export function lookAtRevert(
  machine: MachineVolumes,
  snapshot: Snapshot,
  volumes: HostObservation["volumes"],
): Reverted[] {
  const reference = snapshotReference(snapshot);
  const begun = hasBegun(snapshot, volumes);
  return snapshot.parts.map((part): Reverted => {
    const { volumeGroup, marks } = part;
    const { origin } = marks;
    const find = (name: string): ObservedVolume | undefined =>
      volumes.get(`${volumeGroup}/${name}`);
    const [seen, next, aside] = [
      find(origin),
      find(`${origin}${companions.next}`),
      find(asideVolume(origin)),
    ];
    const known = machine.volumes.find(
      (each) => each.volumeGroup === volumeGroup && each.volumeName === origin,
    );
    const isNext = next?.marks.reverting === reference && next.marks.state !== undefined;
    const isSwitched =
      begun && seen !== undefined && next === undefined && aside?.marks.reverting === reference;
    const stage = isSwitched ? "switched" : isNext ? "prepared" : "untouched";
    return {
      ...{ volumeGroup, volumeName: origin, wipe: known?.wipe ?? "zero", part, stage },
      ...(seen && { seen }),
      ...(next && { next }),
      ...(aside && { aside }),
    };
  });
}

/** Whether any volume has been touched, or has ended up without its name. */
function hasBegun(snapshot: Snapshot, volumes: HostObservation["volumes"]): boolean {
  const reference = snapshotReference(snapshot);
  return snapshot.parts.some(({ volumeGroup, marks }) => {
    const seen = volumes.get(`${volumeGroup}/${marks.origin}`);
    return seen === undefined || seen.marks.reverting === reference;
  });
}

/** Whether a snapshot is being brought back, or that was interrupted: it is needed to come to the end. */
export function isRevertUnderWay(snapshot: Snapshot, volumes: HostObservation["volumes"]): boolean {
  const reference = snapshotReference(snapshot);
  return snapshot.parts.some(({ volumeGroup, marks }) => {
    const id = `${volumeGroup}/${marks.origin}`;
    const decides = volumes.get(id) ?? volumes.get(`${id}${companions.next}`);
    return decides?.marks.reverting === reference;
  });
}

/** What is to be done next until the machine has the snapshot's content. */
export function planRevert(
  machine: MachineVolumes,
  snapshot: Snapshot,
  wish: RevertWish,
  host: Pick<HostObservation, "volumes" | "groups">,
): RevertPhase | Refusal {
  const reference = snapshotReference(snapshot);
  const all = lookAtRevert(machine, snapshot, host.volumes);
  const foreign = refuseForeign(machine, all, reference);
  if (foreign !== undefined) return foreign;
  if (all.every(({ stage }) => stage === "switched")) return { kind: "finish", all, reference };
  const begun = hasBegun(snapshot, host.volumes);
  if (!begun) {
    const users = all.flatMap(({ seen }) => seen?.users ?? []);
    const others = users.filter(({ domain }) => domain === undefined);
    if (users.length > 0 && (!wish.stop || others.length > 0))
      return refuse(
        "machine-in-use",
        `${describeUsers({ users })} has its volumes open`,
        others.length > 0 ? "End that first." : "Shut it down, or give --stop.",
      );
  }
  for (const each of all) {
    const stale = staleOf(each, begun);
    if (stale !== undefined) return { kind: "remove", volumeGroup: each.volumeGroup, ...stale };
    if (each.stage === "untouched") return prepare(each, reference, host);
  }
  return { kind: "switch", all, reference };
}

function prepare(
  reverted: Reverted,
  reference: string,
  { groups }: Pick<HostObservation, "groups">,
): RevertPhase | Refusal {
  const { part, seen, volumeGroup } = reverted;
  const bytes = Math.max(part.volume.sizeBytes, seen?.sizeBytes ?? 0);
  const free = groups.get(volumeGroup)?.freeBytes ?? 0;
  if (part.volume.segmentType !== "thin" && free < bytes)
    return refuse(
      "volume-group-full",
      `the copy needs ${formatBytes(bytes)} beside the volume and volume group "${volumeGroup}" has ${formatBytes(free)} free`,
      "Delete snapshots or volumes, or extend it with vgextend.",
    );
  return { kind: "prepare", reverted, reference, bytes };
}

/** What stands in the way, and is of no use to anybody. */
function staleOf(
  { volumeName, next, aside, stage }: Reverted,
  begun: boolean,
): { volumeName: string; seen: ObservedVolume } | undefined {
  if (next !== undefined && stage === "untouched")
    return { volumeName: `${volumeName}${companions.next}`, seen: next };
  if (aside !== undefined && !begun) return { volumeName: asideVolume(volumeName), seen: aside };
  return undefined;
}

function refuseForeign(
  machine: MachineVolumes,
  all: readonly Reverted[],
  reference: string,
): Refusal | undefined {
  for (const { volumeGroup, volumeName, seen, next, aside } of all) {
    const id = `${volumeGroup}/${volumeName}`;
    const roles = { [id]: seen, [`${id}.next`]: next, [`${id}.aside`]: aside };
    for (const [name, volume] of Object.entries(roles)) {
      if (volume === undefined) continue;
      const role = name === id ? undefined : name.endsWith(".next") ? "next" : "aside";
      const ours =
        volume.marks.owner === machine.owner && (role === undefined || volume.marks.role === role);
      if (!ours)
        return refuse(
          "volume-not-ours",
          `"${name}" ${volume.marks.owner === machine.owner ? "is something else" : describeOwner(volume.marks)}`,
          "Rename or remove that volume.",
        );
    }
    const other = seen?.marks.reverting;
    if (other !== undefined && other !== reference)
      return refuse(
        "volume-reverting",
        `bringing back snapshot "${other.replace(/:.*/, "")}" was interrupted`,
        "Run that command once more first.",
      );
    if (seen === undefined && next?.marks.reverting === undefined)
      return refuse("volume-missing", `there is no volume "${id}"`, "Run `make up` first.");
  }
  return undefined;
}

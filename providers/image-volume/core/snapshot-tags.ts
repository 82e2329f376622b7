import { checkedName } from "../../volume-group/core/commands.ts";
import { prefix } from "./layout.ts";
import type { ObservedVolume } from "./parsers.ts";

/** The part of `layout` that tells of snapshots: names of their volumes, and tags. */

/**
 * How a machine was kept from writing. `off`: it was off · `frozen`: its guest agent had all file systems
 * at rest · `paused`: as after a power cut · `live`: not at all, which one thin volume bears.
 */
export const consistencies = ["off", "frozen", "paused", "live"] as const;
export type Consistency = (typeof consistencies)[number];

/** What the tags of a snapshot's volume say beside those of any volume. */
export interface SnapshotMarks {
  name: string;
  machine: string;
  /** The volume whose content it has. */
  origin: string;
  takenAtSeconds: number;
  /** How many volumes the snapshot has: one for each of the machine's. */
  parts: number;
  description: string;
  /** Written last, with the state. */
  consistency?: Consistency;
}

/** What a snapshot may be called. */
export const snapshotName = /^[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?$/;
/** The longest description, in characters; a tag holds 1024 bytes. */
export const descriptionLength = 200;

/** The name of the volume that holds a volume's content in a snapshot. */
export function snapshotVolume(volume: string, name: string): string {
  return checkedName("volume", `${volume}.snap-${name}`);
}

/** The name of a volume that has made place for a snapshot's content. */
export function asideVolume(volume: string): string {
  return checkedName("volume", `${volume}.aside`);
}

/** The tags with which a snapshot's volume begins. */
export function buildSnapshotTags(marks: Omit<SnapshotMarks, "consistency">): string[] {
  return [
    `${prefix}role=snapshot`,
    `${prefix}snapshot=${marks.name}`,
    `${prefix}machine=${marks.machine}`,
    ...buildOriginTags(marks.origin),
    `${prefix}taken=${String(marks.takenAtSeconds)}`,
    `${prefix}parts=${String(marks.parts)}`,
    ...(marks.description === ""
      ? []
      : [`${prefix}description=${encodeTagText(marks.description)}`]),
  ];
}

/** What a volume says that belongs to another and goes with it. */
export function buildOriginTags(origin: string): string[] {
  return [`${prefix}origin=${origin}`];
}

/** What stands before the consistency in the tag that is written last. */
export const consistencyPrefix = `${prefix}consistency=`;

/**
 * What stands before `frozen:UUID` or `paused:UUID` in the tag that says that a run keeps the domain from
 * writing, so that a later one lets it go on.
 */
export const heldPrefix = `${prefix}held=`;

/** The domains that a run keeps, or kept, from writing. */
export function parseHeld(tags: readonly string[]): { kind: "frozen" | "paused"; uuid: string }[] {
  return tags.flatMap((tag) => {
    const [, kind, uuid] =
      /^groundwork\.held=(frozen|paused):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(
        tag,
      ) ?? [];
    return kind === undefined || uuid === undefined
      ? []
      : [{ kind: kind === "frozen" ? "frozen" : "paused", uuid }];
  });
}

/** Reads the tags of a snapshot's volume; `undefined` where they are not those of one. */
export function parseSnapshotTags(tags: readonly string[]): SnapshotMarks | undefined {
  const value = (name: string): string | undefined => {
    const start = `${prefix}${name}=`;
    const values = tags.filter((tag) => tag.startsWith(start));
    return values.length === 1 ? values[0]?.slice(start.length) : undefined;
  };
  const [name, machine, origin] = [value("snapshot"), value("machine"), value("origin")];
  const [taken, parts] = [value("taken"), value("parts")];
  const isSnapshot = value("role") === "snapshot" && name !== undefined && snapshotName.test(name);
  if (!isSnapshot || machine === undefined || origin === undefined) return undefined;
  if (!/^[0-9]{1,12}$/.test(taken ?? "") || !/^[1-9][0-9]?$/.test(parts ?? "")) return undefined;
  const consistency = consistencies.find((each) => each === value("consistency"));
  return {
    ...{ name, machine, origin, takenAtSeconds: Number(taken), parts: Number(parts) },
    description: decodeTagText(value("description") ?? ""),
    ...(consistency && { consistency }),
  };
}

/** What goes with a volume of this owner: its snapshots, and what made place for one of them. */
export function findDependents(
  volumes: ReadonlyMap<string, ObservedVolume>,
  of: { volumeGroup: string; volumeName: string; owner: string },
): { volumeName: string; seen: ObservedVolume }[] {
  const [origin] = buildOriginTags(of.volumeName);
  return [...volumes].flatMap(([id, seen]) => {
    const { marks, tags } = seen;
    const dependent =
      id.startsWith(`${of.volumeGroup}/`) &&
      marks.owner === of.owner &&
      (marks.role === "snapshot" || marks.role === "aside") &&
      origin !== undefined &&
      tags.includes(origin);
    return dependent ? [{ volumeName: id.slice(of.volumeGroup.length + 1), seen }] : [];
  });
}

/** Text in the characters that LVM allows in tags; every other byte of its UTF-8 becomes `#` and two digits. */
export function encodeTagText(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*~]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%", "#");
}

/** The reverse; what nobody could have encoded is given back as it is. */
export function decodeTagText(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("#", "%"));
  } catch {
    return text;
  }
}

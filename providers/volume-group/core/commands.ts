import { quote } from "../../host/core/script.ts";
import { deviceMapperLibrary, sharedLibrary } from "./library.ts";
import { loopLibrary } from "./loop-library.ts";
import { type Activation, checkedName } from "./names.ts";

export { type Activation, checkedName, parseActivation, renderDetectActivation } from "./names.ts";

/**
 * Bash for the life of a volume, the same whatever makes volumes into devices. Every fragment is one
 * line for a script that begins with `prelude`, may be repeated, and fails the script (exit code 1,
 * reason on stderr) when it cannot do what it says. Names are checked against LVM's rules.
 */
export interface VolumeGroupCommands {
  readonly activation: Activation;
  /** `set -euo pipefail`, the environment and the functions that the fragments call. Once per script. */
  readonly prelude: string;
  /** Runs an LVM command with what this mode needs: `lvm("lvs", "-o", "lv_name", "lab")`. */
  readonly lvm: (command: string, ...words: string[]) => string;
  /** Creates and activates a volume. Its content is undefined: what was there before shows through. */
  create(volumeGroup: string, volume: string, bytes: number, tags?: readonly string[]): string;
  /** Creates and activates a volume in a thin pool. It reads as zeroes if the pool zeroes its blocks. */
  createThin(
    volumeGroup: string,
    pool: string,
    volume: string,
    bytes: number,
    tags?: readonly string[],
  ): string;
  /** Creates a thin volume with the content and the size of another; activates it. */
  clone(volumeGroup: string, origin: string, volume: string, tags?: readonly string[]): string;
  /** The same, which fails where the volume or its origin has a device: a way to see both idle quickly. */
  cloneIdle(volumeGroup: string, origin: string, volume: string, tags?: readonly string[]): string;
  /** Makes `/dev/<volume group>/<volume>` a block device of the volume's size, whatever was there. */
  activate(volumeGroup: string, volume: string): string;
  /** Activates every volume of the group: after a restart of the machine. */
  activateAll(volumeGroup: string): string;
  /** Takes the device away; refuses while it is in use. Succeeds when there is none. */
  deactivate(volumeGroup: string, volume: string): string;
  /** Grows a volume to so many bytes, with its device, also while a guest uses it. Never shrinks. */
  extend(volumeGroup: string, volume: string, bytes: number): string;
  /**
   * Gives a volume another name, and its device with it; refuses while it is in use. Succeeds when it
   * has that name already, and fails when another has it.
   */
  rename(volumeGroup: string, volume: string, name: string): string;
  /** Brings an active device to the size of its volume: after an `lvextend` of one's own. */
  resizeActive(volumeGroup: string, volume: string): string;
  /** Deactivates and removes a volume; refuses while it is in use. Succeeds when there is none. */
  remove(volumeGroup: string, volume: string): string;
  /** Fails, naming the processes, while the volume's device is in use. */
  assertIdle(volumeGroup: string, volume: string): string;
}

/** The path under which a volume's block device is found while it is active. */
export function devicePath(volumeGroup: string, volume: string): string {
  return `/dev/${checkedName("volume group", volumeGroup)}/${checkedName("volume", volume)}`;
}

function wholeSectors(bytes: number): string {
  // LVM refuses half sectors; it rounds up to whole extents by itself.
  if (Number.isSafeInteger(bytes) && bytes > 0) return String(Math.ceil(bytes / 512) * 512);
  throw new RangeError(`a volume cannot have ${String(bytes)} bytes`);
}

/** The commands on volume groups of a machine with this kind of activation. */
export function volumeGroupCommands(activation: Activation): VolumeGroupCommands {
  const call = (name: string, volumeGroup: string, volume?: string, ...rest: string[]): string => {
    const group = checkedName("volume group", volumeGroup);
    const words = [
      group,
      ...(volume === undefined ? [] : [checkedName("volume", volume)]),
      ...rest,
    ];
    return `vg_locked ${[group, name, ...words].map(quote).join(" ")}`;
  };
  const cloner =
    (name: string): VolumeGroupCommands["clone"] =>
    (group, origin, volume, tags = []) =>
      call(
        ...([name, group, volume, checkedName("volume", origin)] as const),
        ...tags.flatMap((tag) => ["--addtag", tag]),
      );
  return {
    activation,
    prelude: `${sharedLibrary}\n\n${activation === "loop" ? loopLibrary : deviceMapperLibrary}\n`,
    lvm: (command, ...words) => `vg_lvm ${[command, ...words].map(quote).join(" ")}`,
    create: (group, volume, bytes, tags = []) =>
      call(
        "vg_create",
        group,
        volume,
        wholeSectors(bytes),
        ...tags.flatMap((tag) => ["--addtag", tag]),
      ),
    createThin: (group, pool, volume, bytes, tags = []) =>
      call(
        ...([
          "vg_create_thin",
          group,
          volume,
          checkedName("volume", pool),
          wholeSectors(bytes),
        ] as const),
        ...tags.flatMap((tag) => ["--addtag", tag]),
      ),
    clone: cloner("vg_clone"),
    cloneIdle: cloner("vg_clone_idle"),
    activate: (group, volume) => call("vg_activate", group, volume),
    activateAll: (group) => call("vg_activate_all", group),
    deactivate: (group, volume) => call("vg_deactivate", group, volume),
    extend: (group, volume, bytes) => call("vg_extend", group, volume, wholeSectors(bytes)),
    rename: (group, volume, name) => call("vg_rename", group, volume, checkedName("volume", name)),
    // With device mapper an lvextend resizes the device itself.
    resizeActive: (group, volume) =>
      activation === "loop" ? call("vg_activate", group, volume) : ":",
    remove: (group, volume) => call("vg_remove", group, volume),
    assertIdle: (group, volume) => `vg_idle ${quote(devicePath(group, volume))}`,
  };
}

/** A whole script of fragments, for `Host.run`. */
export function renderVolumeScript(
  commands: VolumeGroupCommands,
  fragments: readonly string[],
): string {
  return `${commands.prelude}\n${fragments.join("\n")}\n`;
}

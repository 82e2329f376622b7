import {
  chmodSync,
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  rmSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { GroundworkError } from "../../providers/errors.ts";
import {
  type Activation,
  checkedName,
  volumeGroupCommands,
} from "../../providers/volume-group/core/commands.ts";
import { layoutOf } from "../core/layout.ts";
import type { VolumeGroupObserved } from "../core/observed.ts";
import { isOurRecord } from "../core/parse.ts";
import { gib, groupTag } from "../core/plan-volume-group.ts";
import type { EmbeddedOptions, LoopDevice } from "../core/types.ts";
import { command, tryCommand, waitFor } from "./command.ts";
import { holdsOnlyLinks, readLoops, runScript } from "./observe-volume-group.ts";

/** Makes the sparse file, or makes it larger. */
export function makeVolumeFile(options: EmbeddedOptions, bytes: number): void {
  const { volumeFile } = layoutOf(options);
  mkdirSync(dirname(volumeFile), { recursive: true });
  const file = openSync(volumeFile, "a", 0o600);
  try {
    chmodSync(volumeFile, 0o600);
    ftruncateSync(file, bytes);
  } catch (cause) {
    throw new GroundworkError({
      code: "volume-file-too-large",
      message: `Cannot make a sparse file of ${gib(bytes)} at ${volumeFile}: ${(cause as Error).message}.`,
      next: "Set a smaller volumeGroupSizeGiB, or put the checkout on another file system.",
      cause,
    });
  } finally {
    closeSync(file);
  }
}

export async function growVolumeFile(
  options: EmbeddedOptions,
  activation: Activation,
  bytes: number,
  loop: string,
): Promise<void> {
  makeVolumeFile(options, bytes);
  const { lvm } = volumeGroupCommands(activation);
  await runScript(activation, `grow volume group "${options.volumeGroup}"`, [
    `losetup -c ${loop}`,
    `${lvm("pvresize", loop)} >&2`,
  ]);
}

export async function attachVolumeFile(options: EmbeddedOptions): Promise<void> {
  const { volumeFile } = layoutOf(options);
  const loop = await command("losetup", ["-f", "--show", volumeFile], `attach ${volumeFile}`);
  // Not every file system can; without it the data is cached twice.
  await tryCommand("losetup", ["--direct-io=on", loop.trim()]);
}

export async function makeVolumeGroup(
  options: EmbeddedOptions,
  activation: Activation,
  loop: string,
): Promise<void> {
  const { lvm } = volumeGroupCommands(activation);
  const name = options.volumeGroup;
  await runScript(activation, `make volume group "${name}" on ${loop}`, [
    `${lvm("pvcreate", "-y", loop)} >&2`,
    `${lvm("vgcreate", "--addtag", groupTag, name, loop)} >&2`,
  ]);
}

export async function activateVolumes(
  options: EmbeddedOptions,
  activation: Activation,
): Promise<void> {
  const name = options.volumeGroup;
  await runScript(activation, `activate the volumes of "${name}"`, [
    volumeGroupCommands(activation).activateAll(name),
  ]);
}

/** Removes a volume group of ours with all its volumes. */
export async function removeVolumeGroup(
  group: VolumeGroupObserved["ownGroups"][number],
  seen: VolumeGroupObserved,
): Promise<void> {
  const name = checkedName("volume group", group.name);
  const { lvm } = volumeGroupCommands(seen.activation);
  const whole = seen.loops.find((loop) => loop.name === group.loop);
  const volumes = seen.loops.filter((loop) => loop.offset !== 0 && loop.deleted === whole?.deleted);
  await runScript(seen.activation, `remove volume group "${name}"`, [
    ...volumes.map((loop) => `vg_idle ${loop.name}`),
    `${lvm("vgremove", "-ff", "-y", name)} >&2`,
    `${lvm("pvremove", "-ff", "-y", group.loop)} >&2`,
  ]);
}

/** Detaches loop devices, those of volumes first. @throws GroundworkError `volumes-in-use`. */
export async function detachLoops(loops: readonly LoopDevice[]): Promise<void> {
  const inOrder = [...loops].sort((one, two) => two.offset - one.offset);
  for (const loop of inOrder) await tryCommand("losetup", ["-d", loop.name]);
  const remaining = async (): Promise<LoopDevice[]> => {
    const now = await readLoops();
    return inOrder.filter((loop) =>
      now.some((other) => other.name === loop.name && other.file === loop.file),
    );
  };
  // The kernel keeps a device that is still open and lets it go with its last user.
  const gone = await waitFor(
    async () => ((await remaining()).length === 0 ? true : undefined),
    5,
    200,
  );
  if (gone === true) return;
  const left = (await remaining()).map((loop) => loop.name).join(", ");
  throw new GroundworkError({
    code: "volumes-in-use",
    message: `Cannot detach ${left}: something still uses it.`,
    next: `Unmount it, or end what \`fuser -v ${left.replaceAll(",", "")}\` names, then run the same command again.`,
  });
}

/** Removes what a removed group leaves behind: its links in /dev, and LVM's own records of it. */
export function removeGroupTraces(group: string): void {
  const name = checkedName("volume group", group);
  for (const [records, belongs] of [
    ["/etc/lvm/backup", (file: string) => file === name],
    ["/etc/lvm/archive", (file: string) => /^_\d+-\d+\.vg$/.test(file.slice(name.length))],
  ] as const)
    for (const file of existsSync(records) ? readdirSync(records) : [])
      if (file.startsWith(name) && belongs(file)) removeOurRecord(join(records, file));
  rmSync(`/run/lock/groundwork-${name}.lock`, { force: true });
  const folder = join("/dev", name);
  if (!existsSync(folder) || !holdsOnlyLinks(folder)) return;
  for (const name of readdirSync(folder)) rmSync(join(folder, name));
  rmdirSync(folder);
}

function removeOurRecord(file: string): void {
  if (isOurRecord(readFileSync(file, "utf8"), groupTag)) rmSync(file);
}

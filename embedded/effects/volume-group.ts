import {
  chmodSync,
  closeSync,
  existsSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { GroundworkError } from "../../providers/errors.ts";
import { openHost } from "../../providers/host/effects/host.ts";
import {
  type Activation,
  checkedName,
  renderVolumeScript,
  volumeGroupCommands,
} from "../../providers/volume-group/core/commands.ts";
import { readActivation } from "../../providers/volume-group/effects/activation.ts";
import { layoutOf } from "../core/layout.ts";
import type { VolumeGroupObserved } from "../core/observed.ts";
import {
  groupOf,
  inactiveVolumes,
  isOurRecord,
  parseLoops,
  parseSegments,
  segmentColumns,
} from "../core/parse.ts";
import { gib, groupTag } from "../core/plan-volume-group.ts";
import type { EmbeddedOptions, LoopDevice } from "../core/types.ts";
import { command, toolExists, tryCommand, waitFor } from "./command.ts";

const host = openHost("qemu:///system");

async function runScript(
  activation: Activation,
  purpose: string,
  lines: string[],
): Promise<string> {
  const script = renderVolumeScript(volumeGroupCommands(activation), lines);
  return host.run(script, { purpose, timeoutSeconds: 180 });
}

async function readLoops(): Promise<LoopDevice[]> {
  if (!toolExists("losetup")) return [];
  const columns = "NAME,OFFSET,SIZELIMIT,BACK-FILE";
  return parseLoops(
    await command("losetup", ["--list", "--json", "-O", columns], "list loop devices"),
  );
}

function readFreeBytes(folder: string): number {
  let existing = folder;
  while (!existsSync(existing)) existing = dirname(existing);
  const { bavail, bsize } = statfsSync(existing);
  return bavail * bsize;
}

/** Where each volume's link leads, for those that lead to a block device. */
function readDevices(group: string, volumes: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const volume of volumes) {
    const path = join("/dev", group, volume);
    if (existsSync(path) && statSync(path).isBlockDevice()) found.set(volume, realpathSync(path));
  }
  return found;
}

export async function observeVolumeGroup(options: EmbeddedOptions): Promise<VolumeGroupObserved> {
  const { volumeFile } = layoutOf(options);
  const name = checkedName("volume group", options.volumeGroup);
  const activation = await readActivation(host);
  const { lvm } = volumeGroupCommands(activation);
  const query = [
    ...["--noheadings", "--nosuffix", "--units", "b", "--separator", "|", "--segments"],
    ...["-o", segmentColumns, "--select", `vg_name=${name}`],
  ];
  const [allLoops, printed] = await Promise.all([
    readLoops(),
    toolExists("pvs")
      ? runScript(activation, `look for volume group "${name}"`, [lvm("pvs", ...query)])
      : "",
  ]);
  const segments = parseSegments(printed);
  const group = groupOf(segments);
  const loops = allLoops.filter((loop) => loop.file === volumeFile);
  const other = allLoops.find(
    (loop) => loop.file !== volumeFile && group?.physicalVolumes.includes(loop.name) === true,
  );
  const devices = readDevices(
    name,
    segments.flatMap((segment) => segment.volume ?? []),
  );
  const devicePath = join("/dev", name);
  return {
    activation,
    ...(existsSync(volumeFile) && { fileBytes: statSync(volumeFile).size }),
    freeBytes: readFreeBytes(options.home),
    loops,
    ...(group !== undefined && { group }),
    ...(other !== undefined && { otherFile: other.file }),
    inactiveVolumes: inactiveVolumes(activation, segments, allLoops, devices),
    devicePathTaken: group === undefined && existsSync(devicePath) && !holdsOnlyLinks(devicePath),
  };
}

function holdsOnlyLinks(path: string): boolean {
  if (!lstatSync(path).isDirectory()) return false;
  return readdirSync(path).every((name) => lstatSync(join(path, name)).isSymbolicLink());
}

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

/** Removes our volume group with all its volumes. */
export async function removeVolumeGroup(
  options: EmbeddedOptions,
  seen: VolumeGroupObserved,
): Promise<void> {
  const name = checkedName("volume group", options.volumeGroup);
  const { lvm } = volumeGroupCommands(seen.activation);
  const physical = seen.loops.filter((loop) => loop.offset === 0).map((loop) => loop.name);
  const volumes = seen.loops.filter((loop) => loop.offset !== 0).map((loop) => loop.name);
  await runScript(seen.activation, `remove volume group "${name}"`, [
    ...volumes.map((loop) => `vg_idle ${loop}`),
    `${lvm("vgremove", "-ff", "-y", name)} >&2`,
    ...physical.map((loop) => `${lvm("pvremove", "-ff", "-y", loop)} >&2`),
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
export function removeGroupTraces(options: EmbeddedOptions): void {
  const name = checkedName("volume group", options.volumeGroup);
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

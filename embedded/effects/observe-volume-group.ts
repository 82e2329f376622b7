import { existsSync, lstatSync, readdirSync, realpathSync, statfsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
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
  bytesOn,
  groupOf,
  groupsOn,
  inactiveVolumes,
  parseLoops,
  parseSegments,
  parseVolumes,
  segmentColumns,
  volumeColumns,
} from "../core/parse.ts";
import { wholeLoop } from "../core/plan-volume-group.ts";
import type { EmbeddedOptions, LoopDevice } from "../core/types.ts";
import { command, toolExists } from "./command.ts";

const host = openHost("qemu:///system");

export async function runScript(
  activation: Activation,
  purpose: string,
  lines: string[],
): Promise<string> {
  const script = renderVolumeScript(volumeGroupCommands(activation), lines);
  return host.run(script, { purpose, timeoutSeconds: 180 });
}

export async function readLoops(): Promise<LoopDevice[]> {
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

async function readVolumes(group: string, activation: Activation): Promise<string[]> {
  const { lvm } = volumeGroupCommands(activation);
  const words = ["--noheadings", "--separator", "|", "-o", volumeColumns, group];
  return parseVolumes(
    await runScript(activation, `list the volumes of "${group}"`, [lvm("lvs", ...words)]),
  );
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
  const allLoops = await readLoops();
  const loops = allLoops.filter((loop) => loop.file === volumeFile);
  const wholes = loops.filter((loop) => loop.offset === 0);
  const wanted = [`vg_name=${name}`, ...wholes.map((loop) => `pv_name=${loop.name}`)];
  const query = [
    ...["--noheadings", "--nosuffix", "--units", "b", "--separator", "|", "--segments"],
    ...["-o", segmentColumns, "--select", wanted.join("||")],
  ];
  const printed = toolExists("pvs")
    ? await runScript(activation, `look for volume group "${name}"`, [lvm("pvs", ...query)])
    : "";
  const found = parseSegments(printed);
  const segments = found.filter((segment) => segment.group === name);
  const group = groupOf(segments);
  const whole = wholeLoop({ loops });
  const groupBytes = whole && bytesOn(segments, whole.name);
  const other = allLoops.find(
    (loop) => loop.file !== volumeFile && group?.physicalVolumes.includes(loop.name) === true,
  );
  const volumes =
    activation === "loop" || group === undefined
      ? segments.flatMap((segment) => segment.volume ?? [])
      : await readVolumes(name, activation);
  const devices = readDevices(name, volumes);
  const devicePath = join("/dev", name);
  return {
    activation,
    ...(existsSync(volumeFile) && { fileBytes: statSync(volumeFile).size }),
    freeBytes: readFreeBytes(options.home),
    loops,
    ...(group !== undefined && { group }),
    ...(groupBytes !== undefined && { groupBytes }),
    ownGroups: groupsOn(found, wholes),
    ...(other !== undefined && { otherFile: other.file }),
    inactiveVolumes: inactiveVolumes(activation, volumes, segments, allLoops, devices),
    devicePathTaken: group === undefined && existsSync(devicePath) && !holdsOnlyLinks(devicePath),
  };
}

export function holdsOnlyLinks(path: string): boolean {
  if (!lstatSync(path).isDirectory()) return false;
  return readdirSync(path).every((name) => lstatSync(join(path, name)).isSymbolicLink());
}

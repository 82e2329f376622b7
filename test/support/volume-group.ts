import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import {
  parseActivation,
  renderDetectActivation,
  type VolumeGroupCommands,
  volumeGroupCommands,
} from "../../providers/volume-group/core/commands.ts";
import { makeScratch, undoAtExit } from "./scratch.ts";

/** A volume group of the test's own, on a sparse file in a temporary folder. */
export interface TestVolumeGroup {
  /** Unique, such as `gwt3f9a02c1`. */
  readonly name: string;
  /** The temporary folder, free for other files of the test. */
  readonly folder: string;
  /** The loop device that is its physical volume. */
  readonly device: string;
  readonly commands: VolumeGroupCommands;
  /** Runs fragments of {@link VolumeGroupCommands}, or any bash, and returns the standard output. */
  bash(...fragments: string[]): string;
  /** Names of the volumes in it. */
  volumes(): string[];
  /** The tags of a volume, sorted. */
  tags(volume: string): string[];
  /** Removes the volumes, the group, its loop devices and its folder. */
  remove(): void;
}

function bash(script: string): string {
  const result = spawnSync("bash", [], { input: script, encoding: "utf8", timeout: 120_000 });
  if (result.status !== 0)
    throw new Error(
      `bash ended with ${String(result.status)}: ${result.stderr}\nof: ${script.slice(-400)}`,
    );
  return result.stdout;
}

/** Makes a volume group. Call `requireNeeds(this, ["root", "loop", "lvm"])` before. */
export function makeVolumeGroup(options: { sizeMiB?: number } = {}): TestVolumeGroup {
  const scratch = makeScratch("vg");
  const { folder } = scratch;
  const name = `gwt${randomBytes(4).toString("hex")}`;
  const file = path.join(folder, "pv.img");
  fs.writeFileSync(file, "");
  fs.truncateSync(file, (options.sizeMiB ?? 1024) * 1024 * 1024);
  const commands = volumeGroupCommands(parseActivation(bash(renderDetectActivation())));
  const run = (...fragments: string[]): string => bash([commands.prelude, ...fragments].join("\n"));
  const words = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== "");
  let device = "";
  const remove = undoAtExit(() => {
    try {
      const volumes = words(run(commands.lvm("lvs", "--noheadings", "-o", "lv_name", name)));
      run(...volumes.map((volume) => commands.remove(name, volume)));
      run(commands.lvm("vgremove", "-f", name));
      fs.rmSync(`/run/lock/groundwork-${name}.lock`, { force: true });
    } finally {
      scratch.remove();
    }
  });
  try {
    device = bash(`losetup -f --show -- '${file}'`).trim();
    run(commands.lvm("vgcreate", "-q", name, device));
  } catch (error) {
    scratch.remove();
    throw error;
  }
  const lvs = (column: string, ...of: string[]): string[] =>
    words(run(commands.lvm("lvs", "--noheadings", "-o", column, ...of)));
  return {
    ...{ name, folder, device, commands, bash: run, remove },
    volumes: () => lvs("lv_name", name),
    tags: (volume) => lvs("lv_tags", `${name}/${volume}`).sort(),
  };
}

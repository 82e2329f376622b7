import { quote } from "../../host/core/script.ts";
import {
  devicePath,
  renderVolumeScript,
  type VolumeGroupCommands,
} from "../../volume-group/core/commands.ts";
import { buildTags, volumeLock } from "./layout.ts";
import { type ImageFile, renderCountBlocks, renderPopulate } from "./populate.ts";
import { scriptLibrary } from "./script-library.ts";
import { goldenName } from "./thin.ts";
import { thinLibrary } from "./thin-library.ts";
import { unpackLibrary } from "./unpack-library.ts";

/**
 * A script that makes sure of an image's golden volume: the image, once in a pool, never written
 * again and not active. What an interrupted run left of one is made anew. The pool is left alone
 * unless all of the image finds room in it.
 */
export function renderEnsureGolden(args: {
  commands: VolumeGroupCommands;
  volumeGroup: string;
  pool: string;
  image: ImageFile;
  /** Where the host keeps what it has measured. */
  rates: string;
}): string {
  const { commands, volumeGroup, pool, image, rates } = args;
  const { digest } = image;
  const name = goldenName(pool, digest);
  const id = `${volumeGroup}/${name}`;
  const [role = "", content = "", done = ""] = buildTags({
    ...({ role: "golden", digest, state: "populated" } as const),
  });
  const look = commands.lvm("lvs", "--noheadings", "-o", "lv_tags", id);
  return renderVolumeScript(commands, [
    scriptLibrary,
    thinLibrary,
    unpackLibrary,
    `device=${quote(devicePath(volumeGroup, name))}`,
    // One at a time in each pool, so that what was found free stays so.
    `gw_lock ${quote(volumeLock(volumeGroup, pool))} 7200 'another run has been writing an image into the pool for two hours'`,
    `tags=$(${look} 2>/dev/null | tr -d ' ') || tags=none`,
    'has() { [[ ",$tags," == *",$1,"* ]]; }',
    `if has ${quote(role)}; then`,
    `  if has ${quote(content)} && has ${quote(done)}; then gw_done=1; exit 0; fi`,
    `  ${commands.remove(volumeGroup, name)}`,
    'elif [ "$tags" != none ]; then',
    `  gw_fail host-changed ${quote(`${id} is not a golden volume`)}`,
    "fi",
    `gw_pool ${quote(volumeGroup)} ${quote(pool)}; gw_chunk`,
    renderCountBlocks(image),
    `gw_pool_takes ${quote(volumeGroup)} ${quote(pool)} "$blocks"`,
    "gw_begin",
    `gw_undo+=(${quote(commands.remove(volumeGroup, name))})`,
    commands.createThin(volumeGroup, pool, name, image.virtualBytes, [role, content]),
    ...renderPopulate({ commands, volumeGroup, volumeName: name, image, isNew: true }, id),
    'sync -- "$device"',
    `${commands.lvm("lvchange", "--permission", "r", "--setactivationskip", "y", "--addtag", done, id)} >&2`,
    commands.deactivate(volumeGroup, name),
    `gw_took makeGolden ${String(image.virtualBytes)} ${String(image.fileBytes)}`,
    'echo "@value steps $gw_steps"',
    `gw_keep_rates ${quote(rates)} || true`,
    "gw_done=1",
  ]);
}

/**
 * A script that removes a golden volume, whose clones do not need it. Prints `@value removed yes`, or
 * `no` where it is not there any more, or another volume has its name.
 */
export function renderRemoveGolden(args: {
  commands: VolumeGroupCommands;
  volumeGroup: string;
  pool: string;
  volumeName: string;
}): string {
  const { commands, volumeGroup, pool, volumeName } = args;
  const id = `${volumeGroup}/${volumeName}`;
  const [role = ""] = buildTags({ role: "golden" });
  const look = commands.lvm("lvs", "--noheadings", "-o", "lv_tags", id);
  return renderVolumeScript(commands, [
    scriptLibrary,
    // No run makes it, or clones it as something that has just been made.
    `gw_lock ${quote(volumeLock(volumeGroup, pool))} 60 'another run has been writing an image into the pool for a minute'`,
    `tags=$(${look} 2>/dev/null | tr -d ' ') || tags=none`,
    `if [[ ",$tags," != *,${quote(role)},* ]]; then echo '@value removed no'; gw_done=1; exit 0; fi`,
    commands.remove(volumeGroup, volumeName),
    "echo '@value removed yes'",
    "gw_done=1",
  ]);
}

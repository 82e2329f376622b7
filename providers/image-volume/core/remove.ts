import { quote } from "../../host/core/script.ts";
import {
  devicePath,
  renderVolumeScript,
  type VolumeGroupCommands,
} from "../../volume-group/core/commands.ts";
import { renderExpect } from "./apply.ts";
import type { Wipe } from "./arguments.ts";
import { volumeLock } from "./layout.ts";
import type { ObservedVolume } from "./parsers.ts";
import { scriptLibrary } from "./script-library.ts";

export interface RemoveArguments {
  commands: VolumeGroupCommands;
  volumeGroup: string;
  volumeName: string;
  /** What was seen; when the host shows something else the script changes nothing. */
  seen: ObservedVolume;
  wipe: Wipe;
}

/** A script that removes a volume, after its content where `wipe` asks for that. */
export function renderRemove(args: RemoveArguments): string {
  const { commands, volumeGroup, volumeName, seen } = args;
  const marks = seen.tags.filter((tag) => /^groundwork\.(state|digest)=/.test(tag));
  const lock = quote(volumeLock(volumeGroup, volumeName));
  return renderVolumeScript(commands, [
    scriptLibrary,
    `device=${quote(devicePath(volumeGroup, volumeName))}`,
    `gw_lock ${lock} 60 'another run works on the volume'`,
    ...renderExpect({ commands, volumeGroup, volumeName, seen }),
    commands.activate(volumeGroup, volumeName),
    'gw_refuse_open "$device"',
    commands.assertIdle(volumeGroup, volumeName),
    ...(marks.length === 0
      ? []
      : [
          `${commands.lvm("lvchange", ...marks.flatMap((tag) => ["--deltag", tag]), `${volumeGroup}/${volumeName}`)} >&2`,
        ]),
    ...renderWipe(args),
    commands.remove(volumeGroup, volumeName),
    `rm -f -- ${lock}`,
    "gw_done=1",
  ]);
}

function renderWipe({ seen, wipe }: RemoveArguments): string[] {
  // A thin pool hands out zeroed blocks; any other volume's extents show what was on them.
  if (wipe === "none" || seen.segmentType === "thin") return [];
  const zero = `gw_zero "$device" 0 ${String(seen.sizeBytes)}`;
  if (wipe === "zero") return [zero, 'sync -- "$device"'];
  return [
    'if ! blkdiscard -- "$device" 2>/dev/null; then',
    `  echo '@value undiscarded yes'; ${zero}`,
    "fi",
    'sync -- "$device"',
  ];
}

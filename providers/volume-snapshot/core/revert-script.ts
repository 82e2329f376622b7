import { quote } from "../../host/core/script.ts";
import { renderExpect } from "../../image-volume/core/apply.ts";
import { renderStartDomains } from "../../image-volume/core/domains.ts";
import { buildTags, stoppedPrefix, volumeLock } from "../../image-volume/core/layout.ts";
import { companions } from "../../image-volume/core/replace.ts";
import { scriptLibrary } from "../../image-volume/core/script-library.ts";
import { asideVolume, buildOriginTags } from "../../image-volume/core/snapshot-tags.ts";
import {
  devicePath,
  renderVolumeScript,
  type VolumeGroupCommands,
} from "../../volume-group/core/commands.ts";
import { renderLocked, renderUnmake } from "./create-script.ts";
import { copyLibrary } from "./hold-library.ts";
import type { Reverted, RevertPhase } from "./revert-plan.ts";

interface Common {
  commands: VolumeGroupCommands;
  owner: string;
  libvirtUri: string;
}

/** A script that makes the snapshot's content stand beside a volume, marked when it is whole. */
export function renderPrepare(
  { commands, owner }: Common,
  { reverted, reference, bytes }: Extract<RevertPhase, { kind: "prepare" }>,
): string {
  const { volumeGroup, volumeName, part } = reverted;
  const next = `${volumeName}${companions.next}`;
  const tags = buildTags({ role: "next", owner, reverting: reference });
  const { state, digest, generation = 0, writes } = part.volume.marks;
  const marks = buildTags({
    ...{ generation, ...(state && { state }) },
    ...(digest !== undefined && { digest }),
    ...(writes !== undefined && { writes }),
  });
  const device = quote(devicePath(volumeGroup, next));
  const isThin = part.volume.segmentType === "thin";
  return renderVolumeScript(commands, [
    scriptLibrary,
    copyLibrary,
    `gw_lock ${quote(volumeLock(volumeGroup, volumeName))} 60 'another run works on the volume'`,
    ...renderExpect({ commands, volumeGroup, volumeName: part.volumeName, seen: part.volume }),
    ...renderExpect({ commands, volumeGroup, volumeName: next, seen: undefined }),
    commands.activate(volumeGroup, part.volumeName),
    renderUnmake(commands, { volumeGroup, volumeName: next }, tags),
    ...(isThin
      ? [
          commands.clone(volumeGroup, part.volumeName, next, tags),
          ...(part.volume.sizeBytes < bytes ? [commands.extend(volumeGroup, next, bytes)] : []),
        ]
      : [
          commands.create(volumeGroup, next, bytes, tags),
          `gw_copy ${quote(devicePath(volumeGroup, part.volumeName))} ${device}`,
        ]),
    `${commands.lvm("lvchange", ...marks.flatMap((tag) => ["--addtag", tag]), `${volumeGroup}/${next}`)} >&2`,
    "gw_done=1",
  ]);
}

/**
 * A script that puts the prepared content in place of all volumes, with their domains off. First every
 * volume says that this has begun, so that nothing else is done with any of them until it has ended.
 */
export function renderSwitchAll(
  { commands, libvirtUri }: Common,
  all: readonly Reverted[],
  reference: string,
  shutdownTimeoutSeconds: number,
): string {
  const left = all.filter(({ stage }) => stage !== "switched");
  const there = left.filter(({ seen }) => seen !== undefined);
  const devices = there.map(({ volumeGroup, volumeName }) =>
    quote(devicePath(volumeGroup, volumeName)),
  );
  const [begun = ""] = buildTags({ reverting: reference });
  return renderVolumeScript(commands, [
    ...renderLocked(commands, all, libvirtUri),
    ...there.map(({ volumeGroup, volumeName }) => commands.activate(volumeGroup, volumeName)),
    ...renderKeepStopped(commands, all),
    `gw_all_domains ${devices.join(" ")}`,
    'if [ "${#all[@]}" -gt 0 ]; then',
    ...keepers(all).map(
      (id) =>
        `  ${commands.lvm("lvchange")} "\${all[@]/#/--addtag=${stoppedPrefix}}" ${quote(id)} >&2`,
    ),
    `  gw_stop_domains ${String(shutdownTimeoutSeconds)} "\${all[@]}"`,
    "fi",
    ...there.map(
      ({ volumeGroup, volumeName }) =>
        `${commands.lvm("lvchange", "--addtag", begun, `${volumeGroup}/${volumeName}`)} >&2`,
    ),
    ...left.flatMap((each) => renderSwitchOne(commands, each)),
    "gw_done=1",
  ]);
}

/** Domains that an earlier run stopped and never came to start are started by this one. */
function renderKeepStopped(commands: VolumeGroupCommands, all: readonly Reverted[]): string[] {
  const [first] = all;
  const [keeper] = keepers(all);
  if (first?.seen === undefined || first.stage === "switched" || keeper === undefined) return [];
  return (first.seen.marks.stopped ?? []).map(
    (uuid) => `${commands.lvm("lvchange", "--addtag", `${stoppedPrefix}${uuid}`, keeper)} >&2`,
  );
}

/** The volume that takes the place of the first one remembers which domains are to be started. */
function keepers(all: readonly Reverted[]): string[] {
  const [first] = all;
  if (first === undefined) return [];
  const { volumeGroup, volumeName, stage } = first;
  return [
    stage === "switched"
      ? `${volumeGroup}/${volumeName}`
      : `${volumeGroup}/${volumeName}${companions.next}`,
  ];
}

function renderSwitchOne(
  commands: VolumeGroupCommands,
  { volumeGroup, volumeName, seen }: Reverted,
): string[] {
  const aside = asideVolume(volumeName);
  const next = `${volumeName}${companions.next}`;
  const [isNext = "", isAside = ""] = [
    ...buildTags({ role: "next" }),
    ...buildTags({ role: "aside" }),
  ];
  const origin = buildOriginTags(volumeName).flatMap((tag) => ["--addtag", tag]);
  return [
    ...(seen === undefined
      ? []
      : [
          `gw_refuse_open ${quote(devicePath(volumeGroup, volumeName))}`,
          `${commands.lvm("lvchange", "--addtag", isAside, ...origin, `${volumeGroup}/${volumeName}`)} >&2`,
          commands.rename(volumeGroup, volumeName, aside),
        ]),
    commands.rename(volumeGroup, next, volumeName),
    `${commands.lvm("lvchange", "--deltag", isNext, `${volumeGroup}/${volumeName}`)} >&2`,
  ];
}

/** A script that forgets that the content was brought back, and starts the domains that were stopped. */
export function renderFinish(
  { commands, libvirtUri }: Common,
  all: readonly Reverted[],
  reference: string,
): string {
  const [begun = ""] = buildTags({ reverting: reference });
  const [isNext = ""] = buildTags({ role: "next" });
  const ids = all.map(({ volumeGroup, volumeName }) => `${volumeGroup}/${volumeName}`);
  return renderVolumeScript(commands, [
    ...renderLocked(commands, all, libvirtUri),
    ...all.map(({ volumeGroup, volumeName }) => commands.activate(volumeGroup, volumeName)),
    ...ids.map(
      (id) => `${commands.lvm("lvchange", "--deltag", isNext, "--deltag", begun, id)} >&2`,
    ),
    ...ids.slice(0, 1).flatMap((id) => renderStartDomains(commands, id)),
    "gw_done=1",
  ]);
}

import { quote } from "../../host/core/script.ts";
import { renderExpect } from "../../image-volume/core/apply.ts";
import { domainLibrary, renderStartDomains } from "../../image-volume/core/domains.ts";
import { buildTags, stoppedPrefix, volumeLock } from "../../image-volume/core/layout.ts";
import { scriptLibrary } from "../../image-volume/core/script-library.ts";
import { buildSnapshotTags } from "../../image-volume/core/snapshot-tags.ts";
import {
  devicePath,
  renderVolumeScript,
  type VolumeGroupCommands,
} from "../../volume-group/core/commands.ts";
import type { SnapshotWish, Source } from "./create-plan.ts";
import { copyLibrary, renderHoldLibrary, renderMarkWords } from "./hold-library.ts";

type Seen = Pick<Source, "volumeGroup" | "volumeName"> &
  Partial<Pick<Parameters<typeof renderExpect>[0], "seen">>;

/** How every script about a machine's volumes begins: locked, as they were seen. */
export function renderLocked(
  commands: VolumeGroupCommands,
  sources: readonly Seen[],
  libvirtUri: string,
): string[] {
  const [root] = sources;
  return [
    scriptLibrary,
    domainLibrary,
    renderHoldLibrary(commands),
    `libvirt_uri=${quote(libvirtUri)}`,
    `root=${quote(`${root?.volumeGroup ?? ""}/${root?.volumeName ?? ""}`)}`,
    ...sources.map(
      ({ volumeGroup, volumeName }) =>
        `gw_lock ${quote(volumeLock(volumeGroup, volumeName))} 60 'another run works on the volume'`,
    ),
    ...sources.flatMap(({ volumeGroup, volumeName, seen }) =>
      renderExpect({ commands, volumeGroup, volumeName, seen }),
    ),
  ];
}

/** The same, and active. */
export function renderBegin(
  commands: VolumeGroupCommands,
  sources: readonly Seen[],
  libvirtUri: string,
): string[] {
  return [
    ...renderLocked(commands, sources, libvirtUri),
    ...sources.map(({ volumeGroup, volumeName }) => commands.activate(volumeGroup, volumeName)),
  ];
}

/** Stops the domains in `all` for as long as the script runs; the root volume remembers which. */
export function renderStopAll(
  commands: VolumeGroupCommands,
  root: Pick<Source, "volumeGroup" | "volumeName">,
  timeoutSeconds: number,
): string[] {
  const id = `${root.volumeGroup}/${root.volumeName}`;
  return [
    "gw_restart() {",
    ...renderStartDomains(commands, id).map((line) => `  ${line}`),
    "}",
    'if [ "${#all[@]}" -gt 0 ]; then',
    "  gw_undo+=(gw_restart)",
    `  ${commands.lvm("lvchange")} "\${all[@]/#/--addtag=${stoppedPrefix}}" ${quote(id)} >&2`,
    `  gw_stop_domains ${String(timeoutSeconds)} "\${all[@]}"`,
    "fi",
  ];
}

/** A script that lets all go on that an interrupted run kept from writing. */
export function renderRelease(
  commands: VolumeGroupCommands,
  volumes: readonly Pick<Source, "volumeGroup" | "volumeName" | "seen">[],
  libvirtUri: string,
): string {
  return renderVolumeScript(commands, [
    ...renderBegin(commands, volumes, libvirtUri),
    "gw_release",
    "gw_done=1",
  ]);
}

/** A script that takes a snapshot: the machine is at rest, each volume is cloned or copied, all are marked. */
export function renderCreate(args: {
  commands: VolumeGroupCommands;
  machine: string;
  owner: string;
  wish: SnapshotWish;
  sources: readonly Source[];
  libvirtUri: string;
  shutdownTimeoutSeconds: number;
}): string {
  const { commands, machine, owner, wish, sources, libvirtUri } = args;
  const devices = sources
    .map(({ volumeGroup, volumeName }) => quote(devicePath(volumeGroup, volumeName)))
    .join(" ");
  const [root] = sources;
  if (root === undefined) throw new Error(`machine ${machine} has no volumes`);
  return renderVolumeScript(commands, [
    ...renderBegin(commands, sources, libvirtUri),
    copyLibrary,
    `gw_all_domains ${devices}`,
    "how=off",
    ...(wish.hold === "stop"
      ? renderStopAll(commands, root, args.shutdownTimeoutSeconds)
      : wish.hold === "live"
        ? ['[ "${#all[@]}" -eq 0 ] || how=live']
        : ["gw_undo+=(gw_release)", 'gw_hold "${all[@]}"']),
    ...sources.flatMap((source) => renderPart(commands, { machine, owner, wish }, source, sources)),
    ...sources.map(({ volumeGroup, target, seen }) => {
      const { state, digest, generation = 0, writes } = seen.marks;
      const marks = buildTags({
        ...{ generation, ...(state && { state }) },
        ...(digest !== undefined && { digest }),
        ...(writes !== undefined && { writes }),
      });
      return `${commands.lvm("lvchange")} ${renderMarkWords(marks)} ${quote(`${volumeGroup}/${target}`)} >&2`;
    }),
    "gw_undo=()",
    "gw_release",
    ...(wish.hold === "stop" ? ["gw_restart"] : []),
    'echo "@value consistency $how"',
    "gw_done=1",
  ]);
}

/**
 * Has a volume removed if the script fails: the one that it makes with these tags, and no other. That comes
 * last of what is taken back, for a guest may be at rest so long.
 */
export function renderUnmake(
  commands: VolumeGroupCommands,
  { volumeGroup, volumeName }: Pick<Source, "volumeGroup" | "volumeName">,
  tags: readonly string[],
): string {
  const id = `${volumeGroup}/${volumeName}`;
  const look = commands.lvm("lvs", "--noheadings", "-o", "lv_tags", id);
  const made = [...tags].sort().join(",");
  const undo = `case "$(${look} 2>/dev/null | tr -d ' ')," in ${quote(`${made},`)}*) ${commands.remove(volumeGroup, volumeName)} ;; esac`;
  return `gw_undo=(${quote(undo)} "\${gw_undo[@]}")`;
}

function renderPart(
  commands: VolumeGroupCommands,
  { machine, owner, wish }: { machine: string; owner: string; wish: SnapshotWish },
  { volumeGroup, volumeName, target, how, seen }: Source,
  all: readonly Source[],
): string[] {
  const tags = [
    ...buildTags({ owner }),
    ...buildSnapshotTags({
      ...{ name: wish.name, machine, origin: volumeName, takenAtSeconds: wish.nowSeconds },
      ...{ parts: all.length, description: wish.description },
    }),
  ];
  return [
    renderUnmake(commands, { volumeGroup, volumeName: target }, tags),
    how === "clone"
      ? commands.clone(volumeGroup, volumeName, target, tags)
      : commands.create(volumeGroup, target, seen.sizeBytes, tags),
    ...(how === "clone"
      ? []
      : [
          `gw_copy ${quote(devicePath(volumeGroup, volumeName))} ${quote(devicePath(volumeGroup, target))}`,
        ]),
  ];
}

import { quote } from "../../host/core/script.ts";
import {
  devicePath,
  renderVolumeScript,
  type VolumeGroupCommands,
} from "../../volume-group/core/commands.ts";
import { renderClone, renderCloneReport } from "./clone.ts";
import { domainLibrary, renderStartDomains, renderStopDomains } from "./domains.ts";
import { buildTags, volumeLock } from "./layout.ts";
import { type ObservedVolume, reportOptions, volumeColumns } from "./parsers.ts";
import { bytesOfStep } from "./outcome.ts";
import { type Step, undoOf } from "./plan.ts";
import {
  type ImageFile,
  renderAwaitDecoded,
  renderCountBlocks,
  renderPopulate,
  renderRefuseUsed,
} from "./populate.ts";
import { amountOf } from "./rates.ts";
import { scriptLibrary } from "./script-library.ts";
import { thinLibrary } from "./thin-library.ts";
import { renderTranscodeLater } from "./transcode.ts";
import { unpackLibrary } from "./unpack-library.ts";

export interface ApplyArguments {
  commands: VolumeGroupCommands;
  volumeGroup: string;
  volumeName: string;
  steps: readonly Step[];
  /** What the plan saw; when the host shows something else the script changes nothing. */
  seen: ObservedVolume | undefined;
  /** The image to populate from; needed by `populateVolume`. */
  image?: ImageFile;
  /** Where the host keeps what it has measured. */
  rates: string;
  /** The libvirt URI as the host itself reaches its daemon, to tell domains of a new size. */
  libvirtUri: string;
}

/** Done before, by renderEnsureEntry and renderEnsureGolden. */
const before: ReadonlySet<Step["kind"]> = new Set(["fetchImage", "makeGolden"]);

/** A script that carries out a plan's steps on the volume, under a lock, marking it last. */
export function renderApply(args: ApplyArguments): string {
  const { commands, volumeGroup, volumeName, steps } = args;
  const id = `${volumeGroup}/${volumeName}`;
  const clone = steps.find((step) => step.kind === "cloneGolden");
  const isOnlyCloned =
    clone !== undefined && steps.every(({ kind }) => before.has(kind) || kind === "cloneGolden");
  // The image is there by now: renderEnsureEntry fetched it.
  const lines = steps
    .filter(({ kind }) => kind !== "fetchImage")
    .flatMap((step) => [
      `# ${step.kind}`,
      ...(undoOf(step) === undefined ? [] : [`gw_undo+=(${quote(renderUndo(step, args))})`]),
      ...renderStep(step, args, id),
      renderTook(step, args.image),
    ]);
  return renderVolumeScript(commands, [
    scriptLibrary,
    ...(args.image ? [unpackLibrary] : []),
    ...(clone === undefined ? [domainLibrary, `libvirt_uri=${quote(args.libvirtUri)}`] : []),
    ...(isThin(args) || clone !== undefined ? [thinLibrary] : []),
    `device=${quote(devicePath(volumeGroup, volumeName))}`,
    // A volume that is there keeps its domain running, and its content, until there is something to write.
    ...(args.seen !== undefined && args.image ? renderAwaitDecoded(args.image) : []),
    // The volume group's lock, which a clone is made under, is enough for one.
    ...(isOnlyCloned
      ? []
      : [
          `gw_lock ${quote(volumeLock(volumeGroup, volumeName))} 60 'another run works on the volume'`,
        ]),
    // A clone has its own way of seeing to that; see `renderClone`.
    ...(clone === undefined ? renderExpect(args) : []),
    ...(args.seen === undefined ? [] : [commands.activate(volumeGroup, volumeName)]),
    "gw_begin",
    ...lines,
    'echo "@value steps $gw_steps"',
    isOnlyCloned
      ? renderCloneReport(clone, renderReport(commands, id))
      : renderReport(commands, id),
    `gw_keep_rates ${quote(args.rates)} || true`,
    ...(args.image?.transcode === true ? [renderTranscodeLater(args.image)] : []),
    "gw_done=1",
  ]);
}

/** Tells how the volume is at the end; see `parseVolumeReport`. */
function renderReport(commands: VolumeGroupCommands, id: string): string {
  const look = commands.lvm("lvs", ...reportOptions, "-o", volumeColumns, id);
  return `volume=$(${look}); echo "@value volume \${volume//$'\\n'/}"`;
}

/** Notes how long a step took. */
export function renderTook(step: Step, image: ImageFile | undefined): string {
  const bytes = bytesOfStep(step, image?.virtualBytes ?? 0);
  // How fast the network was, or a decoded file was read, says nothing of the next volume.
  const amount =
    (image?.follow ?? image?.decoded) !== undefined && step.kind === "populateVolume"
      ? 0
      : amountOf(step, image?.fileBytes ?? 0);
  return `gw_took ${step.kind} ${String(bytes)} ${String(amount)}`;
}

/** Fails the script as `host-changed` unless the volume is what the plan saw. */
export function renderExpect(
  args: Pick<ApplyArguments, "commands" | "volumeGroup" | "volumeName" | "seen">,
): string[] {
  const { commands, volumeGroup, volumeName, seen } = args;
  const expected =
    seen === undefined ? "" : `${seen.uuid}|${String(seen.sizeBytes)}|${seen.tags.join(",")}`;
  const look = commands.lvm(
    ...(["lvs", "--noheadings", "--units", "b", "--nosuffix", "--separator", "|"] as const),
    ...["-o", "lv_uuid,lv_size,lv_tags"],
    ...["--select", `vg_name="${volumeGroup}" && lv_name="${volumeName}"`],
  );
  return [
    `seen=$(${look}); seen=\${seen// /}`,
    `[ "$seen" = ${quote(expected)} ] || gw_fail host-changed "$seen"`,
  ];
}

/** Removes the volume that the step made, which its tags tell from one that appeared meanwhile. */
function renderUndo(step: Step, args: ApplyArguments): string {
  const { commands, volumeGroup, volumeName } = args;
  const made = step.kind === "createVolume" || step.kind === "cloneGolden";
  const tags = made ? [...step.addTags].sort().join(",") : "";
  const look = commands.lvm("lvs", "--noheadings", "-o", "lv_tags", `${volumeGroup}/${volumeName}`);
  return `[ "$(${look} | tr -d ' ')" != ${quote(tags)} ] || ${commands.remove(volumeGroup, volumeName)}`;
}

function renderStep(step: Step, args: ApplyArguments, id: string): string[] {
  const { commands, volumeGroup, volumeName } = args;
  const isNew = args.seen === undefined;
  const retag = (add: readonly string[], remove: readonly string[]): string[] => {
    const words = [
      ...remove.filter((tag) => !add.includes(tag)).flatMap((tag) => ["--deltag", tag]),
      ...add.flatMap((tag) => ["--addtag", tag]),
    ];
    return words.length === 0 ? [] : [`${commands.lvm("lvchange", ...words, id)} >&2`];
  };
  switch (step.kind) {
    case "fetchImage":
      return []; // done before, by renderEnsureEntry
    case "switchVolume":
    case "restorePrevious":
    case "settleCompanions":
    case "removeCompanion":
      throw new Error(`${step.kind} is carried out by a script of its own`);
    case "makeGolden":
      return []; // done before, by renderEnsureGolden
    case "cloneGolden":
      return renderClone(step, args);
    case "createVolume":
      return [
        step.pool === undefined
          ? commands.create(volumeGroup, volumeName, step.bytes, step.addTags)
          : commands.createThin(volumeGroup, step.pool, volumeName, step.bytes, step.addTags),
      ];
    case "adoptVolume":
    case "changeOwner":
    case "markPopulated":
      return retag(step.addTags, step.removeTags);
    case "stopDomains":
      return renderStopDomains(commands, id, step);
    case "startDomains":
      return renderStartDomains(commands, id);
    case "unmarkVolume":
      return ['gw_refuse_open "$device"', ...retag([], step.removeTags)];
    case "growVolume": {
      const { fromBytes, hasBytes, toBytes } = step;
      const growing = buildTags({ growingFromBytes: fromBytes });
      const zero = (from: number, to: number): string =>
        `gw_zero "$device" ${String(from)} ${String(to)} --force`;
      return [
        ...retag(growing, []),
        ...(isThin(args) || fromBytes < hasBytes ? [] : [`gw_note_users "$device"`]),
        commands.extend(volumeGroup, volumeName, toBytes),
        // The new piece may hold what another volume left there; a guest does not see it yet.
        ...(isThin(args)
          ? []
          : [
              ...(fromBytes < hasBytes
                ? [
                    `if gw_same_users "$device"; then ${zero(fromBytes, hasBytes)}; else echo '@value unzeroed ${String(fromBytes)}'; fi`,
                  ]
                : []),
              ...(hasBytes < toBytes ? [zero(hasBytes, toBytes)] : []),
              `rm -f -- "$(gw_users_note "$device")"`,
            ]),
        ...retag([], growing),
        ...renderResizeDomains(toBytes),
      ];
    }
    case "populateVolume":
      return [...renderRoom(args), ...renderPopulate({ ...args, isNew }, id)];
    case "zeroTail":
      return [
        // Where the whole volume read as zeroes before, nothing is left to do.
        `[ -n "$target" ] || gw_zero "$device" ${String(args.image?.virtualBytes ?? 0)} ${String(step.toBytes)}`,
        'sync -- "$device"',
      ];
    case "zeroVolume":
      return [
        ...renderRefuseUsed({ ...args, isNew }),
        `gw_blank "$device" || gw_zero "$device" 0 ${String(step.toBytes)}`,
        'sync -- "$device"',
      ];
  }
}

function isThin({ seen }: Pick<ApplyArguments, "seen">): boolean {
  return seen?.segmentType === "thin"; // its pool hands out zeroed blocks
}

/** What is on a thin volume stays until it is sure that the image finds room beside it. */
function renderRoom({ seen, image, volumeGroup }: ApplyArguments): string[] {
  if (seen?.pool === undefined || image === undefined) return [];
  const pool = `${quote(volumeGroup)} ${quote(seen.pool)}`;
  return [`gw_pool ${pool}; gw_chunk`, renderCountBlocks(image), `gw_pool_takes ${pool} "$blocks"`];
}

function renderResizeDomains(bytes: number): string[] {
  return [
    'gw_users "$device" | cut -f 3 | while read -r domain; do',
    '  [ -n "$domain" ] || continue',
    `  gw_virsh blockresize "$domain" "$device" ${String(bytes)}B >/dev/null ||`,
    '    echo "@value unresized $domain"',
    "done",
  ];
}

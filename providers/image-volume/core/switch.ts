import { quote } from "../../host/core/script.ts";
import { devicePath, renderVolumeScript } from "../../volume-group/core/commands.ts";
import { type ApplyArguments, renderExpect, renderTook } from "./apply.ts";
import { domainLibrary, renderStartDomains, renderStopDomains } from "./domains.ts";
import { buildTags, stoppedPrefix, volumeLock } from "./layout.ts";
import { companions } from "./replace.ts";
import type { Step } from "./plan.ts";
import { scriptLibrary } from "./script-library.ts";

/**
 * A script that puts the companion in the volume's place, by renaming, with its domains off. Run again
 * after an interruption at any point it goes on from there: what each volume is stands in its tags.
 */
export function renderSwitch(
  args: Pick<
    ApplyArguments,
    "commands" | "volumeGroup" | "volumeName" | "steps" | "seen" | "libvirtUri" | "rates"
  >,
): string {
  const { commands, volumeGroup, volumeName, steps } = args;
  const id = `${volumeGroup}/${volumeName}`;
  return renderVolumeScript(commands, [
    scriptLibrary,
    domainLibrary,
    `libvirt_uri=${quote(args.libvirtUri)}`,
    `device=${quote(devicePath(volumeGroup, volumeName))}`,
    `gw_lock ${quote(volumeLock(volumeGroup, volumeName))} 60 'another run works on the volume'`,
    ...renderExpect(args),
    `tags() { ${commands.lvm("lvs", "--noheadings", "-o", "lv_tags")} "$1" 2>/dev/null | tr -d ' ' | tr , '\\n'; }`,
    `is() { tags ${quote(`${volumeGroup}/`)}"$1" | grep -qxF -- "$2"; }`,
    ...(args.seen === undefined ? [] : [commands.activate(volumeGroup, volumeName)]),
    "gw_begin",
    ...steps.flatMap((step) => [...renderStep(step, args, id), renderTook(step, undefined)]),
    'echo "@value steps $gw_steps"',
    `gw_keep_rates ${quote(args.rates)} || true`,
    "gw_done=1",
  ]);
}

function renderStep(
  step: Step,
  { commands, volumeGroup, volumeName, seen }: Parameters<typeof renderSwitch>[0],
  id: string,
): string[] {
  const next = `${volumeName}${companions.next}`;
  const previous = `${volumeName}${companions.previous}`;
  const [isNext = "", isPrevious = ""] = [
    ...buildTags({ role: "next" }),
    ...buildTags({ role: "previous" }),
  ];
  const retag = (volume: string, ...words: string[]): string =>
    `${commands.lvm("lvchange", ...words, `${volumeGroup}/${volume}`)} >&2`;
  // Which domains are to be started goes with the volume's place.
  const moveStopped = (from: string, to: string): string[] => [
    `stopped=$(tags ${quote(`${volumeGroup}/${from}`)} | grep -F ${quote(stoppedPrefix)} || true)`,
    "for tag in $stopped; do",
    `  ${commands.lvm("lvchange", "--addtag")} "$tag" ${quote(`${volumeGroup}/${to}`)} >&2`,
    `  ${commands.lvm("lvchange", "--deltag")} "$tag" ${quote(`${volumeGroup}/${from}`)} >&2`,
    "done",
  ];
  const putAside = (successor: string): string[] => [
    ...moveStopped(volumeName, successor),
    'gw_refuse_open "$device"',
    retag(volumeName, "--addtag", isPrevious),
  ];
  switch (step.kind) {
    case "stopDomains":
      return renderStopDomains(commands, id, step);
    case "startDomains":
      return renderStartDomains(commands, id);
    case "switchVolume":
      return [
        `is ${quote(next)} ${quote(isNext)} || gw_fail host-changed ${quote(`${next} is gone`)}`,
        ...(seen === undefined
          ? []
          : [...putAside(next), commands.rename(volumeGroup, volumeName, previous)]),
        commands.rename(volumeGroup, next, volumeName),
        retag(volumeName, "--deltag", isNext),
      ];
    case "restorePrevious":
      return [
        `is ${quote(previous)} ${quote(isPrevious)} || gw_fail host-changed ${quote(`${previous} is gone`)}`,
        ...(seen === undefined
          ? []
          : [...putAside(previous), commands.rename(volumeGroup, volumeName, next)]),
        commands.rename(volumeGroup, previous, volumeName),
        retag(volumeName, "--deltag", isPrevious),
        `if is ${quote(next)} ${quote(isPrevious)}; then ${commands.rename(volumeGroup, next, previous)}; fi`,
      ];
    case "settleCompanions":
      return [
        ...[next, previous].flatMap((companion) => moveStopped(companion, volumeName)),
        ...[isNext, isPrevious].map(
          (tag) =>
            `if is ${quote(volumeName)} ${quote(tag)}; then ${retag(volumeName, "--deltag", tag)}; fi`,
        ),
        `if is ${quote(next)} ${quote(isPrevious)}; then ${commands.rename(volumeGroup, next, previous)}; fi`,
      ];
    default:
      throw new Error(`${step.kind} is no step of a switch`);
  }
}

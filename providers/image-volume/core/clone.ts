import { quote } from "../../host/core/script.ts";
import type { VolumeGroupCommands } from "../../volume-group/core/commands.ts";
import { buildTags } from "./layout.ts";
import type { Step } from "./plan.ts";

type CloneStep = Extract<Step, { kind: "cloneGolden" }>;

interface CloneArguments {
  commands: VolumeGroupCommands;
  volumeGroup: string;
  volumeName: string;
}

/**
 * Makes a volume as a clone of its image's golden volume, and sets `$uuid` and `$bytes` to what the kernel
 * says of it. To ask LVM takes nearly as long as to make the clone, and the plan has asked it. A volume
 * that appeared meanwhile is active, and so is a golden volume that is being made anew: only then, and
 * when LVM refuses, is LVM asked whether all is as the plan saw it.
 */
export function renderClone(step: CloneStep, args: CloneArguments): string[] {
  const { commands, volumeGroup, volumeName } = args;
  const { golden, pool, bytes, addTags, isRoomy = false } = step;
  return [
    ...(isRoomy ? [] : [`gw_pool_takes ${quote(volumeGroup)} ${quote(pool)} 0`]),
    `${commands.cloneIdle(volumeGroup, golden, volumeName, addTags)} || {`,
    // What bears the name now is another run's.
    '  undo=("${gw_undo[@]}") gw_undo=()',
    ...renderExpectGolden(step, args).map((line) => `  ${line}`),
    '  gw_undo=("${undo[@]}")',
    `  ${commands.clone(volumeGroup, golden, volumeName, addTags)}`,
    "}",
    `gw_mapped ${quote(volumeGroup)} ${quote(volumeName)}`,
    `[ "$bytes" -ge ${String(bytes)} ] || ${commands.extend(volumeGroup, volumeName, bytes)}`,
  ];
}

/**
 * Tells how a clone is at the end, with what is known by then; see `parseCloneReport`.
 *
 * @param otherwise what tells it where the kernel did not, or the clone has grown since
 */
export function renderCloneReport({ bytes }: CloneStep, otherwise: string): string {
  return [
    `if [ "$bytes" -ge ${String(bytes)} ]; then`,
    '  echo "@value clone $uuid $bytes"',
    "else",
    `  ${otherwise}`,
    "fi",
  ].join("\n");
}

/** Fails the script as `host-changed` unless the golden volume is complete, and the clone not there. */
function renderExpectGolden(
  { golden, digest }: CloneStep,
  { commands, volumeGroup, volumeName }: CloneArguments,
): string[] {
  const look = commands.lvm(
    ...(["lvs", "--noheadings", "--separator", "|", "-o", "lv_name,lv_tags", "--select"] as const),
    `vg_name="${volumeGroup}" && (lv_name="${volumeName}" || lv_name="${golden}")`,
  );
  const tags = buildTags({ digest, state: "populated" });
  return [
    `seen=$(${look}) whole=''`,
    "while IFS=' |' read -r name tags; do",
    '  [ -n "$name" ] || continue',
    `  [ "$name" = ${quote(golden)} ] || gw_fail host-changed "$name|$tags"`,
    ...tags.map((tag) => `  [[ ,$tags, == *,${quote(tag)},* ]] || continue`),
    "  whole=yes",
    'done <<<"$seen"',
    '[ -n "$whole" ] || gw_fail host-changed "the golden volume is gone"',
  ];
}

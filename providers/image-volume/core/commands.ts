import { quote } from "../../host/core/script.ts";
import {
  devicePath,
  renderDetectActivation,
  renderVolumeScript,
  type VolumeGroupCommands,
  volumeGroupCommands,
} from "../../volume-group/core/commands.ts";
import { buildTags, type CacheLayout, volumeLock } from "./layout.ts";
import type { ObservedVolume } from "./parsers.ts";
import { type Step, undoOf } from "./plan.ts";
import { headerBytes } from "./qcow2.ts";
import { fetchLibrary, scriptLibrary } from "./script-library.ts";

const tools = ["lvm", "qemu-img", "curl", "flock", "prlimit", "blkdiscard", "sha256sum"];

/** A script that tells everything about a host's volumes and cache at once; see `parseProbe`. */
export function renderProbe(cache: CacheLayout): string {
  const report = "--reportformat json --units b --nosuffix";
  return [
    "set -euo pipefail",
    "section() { printf '@@%s\\n' \"$1\"; }",
    'section user; id -u; [ "$(id -u)" = 0 ] || exit 0',
    `section missing; for tool in ${tools.join(" ")}; do command -v "$tool" >/dev/null || echo "$tool"; done`,
    "command -v lvm >/dev/null || exit 0",
    `activation=$(${renderDetectActivation()})`,
    'case "$activation" in',
    `device-mapper)\n${volumeGroupCommands("device-mapper").prelude}\n;;`,
    `*)\n${volumeGroupCommands("loop").prelude}\n;;`,
    "esac",
    scriptLibrary,
    'section activation; echo "$activation"',
    `section groups; vg_lvm vgs ${report} -o vg_name,vg_free,vg_extent_size`,
    `volumes=$(vg_lvm lvs ${report} -o vg_name,lv_name,lv_uuid,lv_size,segtype,lv_tags)`,
    "section volumes; printf '%s\\n' \"$volumes\"",
    `section devices`,
    "declare -A device_of=()",
    "while read -r id; do",
    '  [ -b "/dev/$id" ] || continue',
    '  device=$(stat -L -c %t:%T -- "/dev/$id")',
    "  device_of[$device]=$id",
    '  printf \'%s\\t%s\\n\' "$device" "$id"',
    "done < <(vg_lvm lvs --noheadings --separator / -o vg_name,lv_name | tr -d ' ')",
    "section open",
    "gw_open_devices | while read -r id path; do",
    '  [ -z "${device_of[$id]-}" ] || gw_process "$path" | sed "s/^/$id\\t/"',
    "done | sort -u",
    `cache=${quote(cache.folder)}`,
    "section cache; find \"$cache\" -maxdepth 1 -type f -printf '%f\\t%s\\n' 2>/dev/null || true",
    'section free; while [ ! -d "$cache" ]; do cache=$(dirname "$cache"); done',
    'df --output=avail -B1 -- "$cache" | tail -n 1',
    "gw_done=1",
    "",
  ].join("\n");
}

/**
 * A script that makes sure of a cache entry and prints the image's first bytes as
 * `@value header BASE64`. Without a source it only reads the entry that is there.
 */
export function renderEnsureEntry(args: {
  cache: CacheLayout;
  digest: string;
  bytes: number;
  source?: { url: string; etag?: string };
}): string {
  const { cache, digest, bytes, source } = args;
  const request = [
    `url = ${curlQuote(source?.url ?? "")}`,
    ...(source?.etag === undefined ? [] : [`header = ${curlQuote(`If-Match: "${source.etag}"`)}`]),
  ].join("\n");
  return [
    "set -euo pipefail; umask 0027",
    scriptLibrary,
    `cache=${quote(cache.folder)} entry=${quote(cache.entry(digest, bytes))}`,
    `digest=${digest} bytes=${String(bytes)}`,
    `whole() { [ -f "$entry" ] && [ "$(stat -c %s "$entry")" = "$bytes" ]; }`,
    ...(source === undefined
      ? ["whole || gw_fail host-changed 'the cache entry is gone'"]
      : [
          `part=${quote(cache.partial(digest))}`,
          `request=${quote(request)}`,
          fetchLibrary,
          'mkdir -p -m 0750 -- "$cache"',
          `gw_lock ${quote(cache.lock(digest))} 3600 'another run has been fetching the image for an hour'`,
          "if ! whole; then",
          '  resumed=$(stat -c %s "$part" 2>/dev/null || echo 0)',
          "  gw_fetch",
          '  seen=$(sha256sum <"$part" | cut -c1-64)',
          // What an earlier run had left may be at fault: once more from the start.
          '  if [ "$seen" != "$digest" ] && [ "$resumed" -gt 0 ]; then',
          '    rm -f "$part"; gw_fetch; seen=$(sha256sum <"$part" | cut -c1-64)',
          "  fi",
          '  [ "$seen" = "$digest" ] || { rm -f "$part"; gw_fail digest-mismatch "$seen"; }',
          '  chmod 0640 -- "$part"; sync -- "$part"; mv -fT -- "$part" "$entry"; sync -- "$cache"',
          "  echo '@value fetched yes'",
          "fi",
        ]),
    `echo "@value header $(head -c ${String(headerBytes)} -- "$entry" | base64 -w 0)"`,
    "gw_done=1",
    "",
  ].join("\n");
}

/** Quotes a word for a curl configuration file. */
function curlQuote(word: string): string {
  return `"${word.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

export interface ApplyArguments {
  commands: VolumeGroupCommands;
  volumeGroup: string;
  volumeName: string;
  steps: readonly Step[];
  /** What the plan saw; when the host shows something else the script changes nothing. */
  seen: ObservedVolume | undefined;
  /** The image to populate from; needed by `populateVolume`. */
  image?: ImageFile;
  /** The libvirt URI as the host itself reaches its daemon, to tell domains of a new size. */
  libvirtUri: string;
}

export interface ImageFile {
  digest: string;
  entry: string;
  virtualBytes: number;
  /** Whether the entry's digest is not known to be right from this very run. */
  verify: boolean;
}

/** A script that carries out a plan's steps on the volume, under a lock, marking it last. */
export function renderApply(args: ApplyArguments): string {
  const { commands, volumeGroup, volumeName, steps } = args;
  const id = `${volumeGroup}/${volumeName}`;
  const lines = steps.flatMap((step) => [
    `# ${step.kind}`,
    ...(undoOf(step) === undefined ? [] : [`gw_undo+=(${quote(renderUndo(step, args))})`]),
    ...renderStep(step, args, id),
  ]);
  return renderVolumeScript(commands, [
    scriptLibrary,
    `device=${quote(devicePath(volumeGroup, volumeName))}`,
    `gw_lock ${quote(volumeLock(volumeGroup, volumeName))} 60 'another run works on the volume'`,
    ...renderExpect(args),
    ...(args.seen === undefined ? [] : [commands.activate(volumeGroup, volumeName)]),
    ...lines,
    "gw_done=1",
  ]);
}

/** Fails the script as `host-changed` unless the volume is what the plan saw. */
function renderExpect(
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
    `seen=$(${look} | tr -d ' ')`,
    `[ "$seen" = ${quote(expected)} ] || gw_fail host-changed "$seen"`,
  ];
}

/** Removes the volume that the step made, which its tags tell from one that appeared meanwhile. */
function renderUndo(step: Step, args: ApplyArguments): string {
  const { commands, volumeGroup, volumeName } = args;
  const tags = step.kind === "createVolume" ? step.addTags.join(",") : "";
  const look = commands.lvm("lvs", "--noheadings", "-o", "lv_tags", `${volumeGroup}/${volumeName}`);
  return `[ "$(${look} | tr -d ' ')" != ${quote(tags)} ] || ${commands.remove(volumeGroup, volumeName)}`;
}

function renderStep(step: Step, args: ApplyArguments, id: string): string[] {
  const { commands, volumeGroup, volumeName } = args;
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
    case "createVolume":
      return [commands.create(volumeGroup, volumeName, step.bytes, step.addTags)];
    case "adoptVolume":
    case "changeOwner":
    case "markPopulated":
      return retag(step.addTags, step.removeTags);
    case "unmarkVolume":
      return ['gw_refuse_open "$device"', ...retag([], step.removeTags)];
    case "growVolume": {
      const growing = buildTags({ growingFromBytes: step.fromBytes });
      return [
        ...retag(growing, []),
        commands.extend(volumeGroup, volumeName, step.toBytes),
        // The new piece may hold what another volume left there; a guest does not see it yet.
        `gw_zero "$device" ${String(step.fromBytes)} ${String(step.toBytes)} --force`,
        ...retag([], growing),
        ...renderResizeDomains(args, step.toBytes),
      ];
    }
    case "populateVolume":
      return renderPopulate(args, id);
    case "zeroTail":
      return [
        `gw_zero "$device" ${String(args.image?.virtualBytes ?? 0)} ${String(step.toBytes)}`,
        'sync -- "$device"',
      ];
    case "zeroVolume":
      return [
        'gw_refuse_open "$device"',
        `gw_zero "$device" 0 ${String(step.toBytes)}`,
        'sync -- "$device"',
      ];
  }
}

function renderResizeDomains(args: ApplyArguments, bytes: number): string[] {
  return [
    'gw_users "$device" | cut -f 3 | while read -r domain; do',
    '  [ -n "$domain" ] || continue',
    `  virsh -c ${quote(args.libvirtUri)} blockresize "$domain" "$device" ${String(bytes)}B >/dev/null ||`,
    '    echo "@value unresized $domain"',
    "done",
  ];
}

/**
 * qemu-img is told both formats, so it probes nothing, and is held by limits. It writes zeroes where
 * the image has none: the volume is not assumed to be empty.
 */
function renderPopulate(args: ApplyArguments, id: string): string[] {
  const { image } = args;
  if (image === undefined) throw new Error(`no image to populate ${id} from`);
  const entry = quote(image.entry);
  const cpuSeconds = 120 + 60 * Math.ceil(image.virtualBytes / 2 ** 30);
  return [
    'gw_refuse_open "$device"',
    args.commands.assertIdle(args.volumeGroup, args.volumeName),
    ...(image.verify
      ? [`exec {sum}< <(sha256sum -- ${entry} | cut -c1-64)`, "verifier=$!", "gw_background+=($!)"]
      : []),
    [
      `prlimit --as=${String(4 * 2 ** 30)} --cpu=${String(cpuSeconds)} --core=0 --`,
      `qemu-img convert -p -f qcow2 -O raw -n -W -m 4 -t none -- ${entry} "$device"`,
      "| gw_convert_progress || converted=no",
    ].join(" "),
    ...(image.verify
      ? [
          'read -r digest <&"$sum" || true',
          `if [ "$digest" != ${image.digest} ]; then`,
          `  mv -fT -- ${entry} ${quote(`${image.entry}.corrupt`)}`,
          '  gw_fail cache-entry-corrupt "$digest"',
          "fi",
        ]
      : []),
    '[ "${converted-}" != no ] || vg_fail "qemu-img could not convert the image"',
  ];
}

/** A script that removes a volume after its content, when its owner tag is the one given. */
export function renderRemove(args: {
  commands: VolumeGroupCommands;
  volumeGroup: string;
  volumeName: string;
  seen: ObservedVolume;
}): string {
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
    // A thin pool hands out zeroed blocks; any other volume's extents show what was on them.
    ...(seen.segmentType === "thin"
      ? []
      : [`gw_zero "$device" 0 ${String(seen.sizeBytes)}`, 'sync -- "$device"']),
    commands.remove(volumeGroup, volumeName),
    `rm -f -- ${lock}`,
    "gw_done=1",
  ]);
}

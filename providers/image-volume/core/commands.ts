import { quote } from "../../host/core/script.ts";
import { renderDetectActivation, volumeGroupCommands } from "../../volume-group/core/commands.ts";
import { fetchLibrary } from "./fetch-library.ts";
import type { ImageFormat } from "./image-format.ts";
import type { CacheLayout } from "./layout.ts";
import { reportOptions, volumeColumns } from "./parsers.ts";
import { headerBytes } from "./qcow2.ts";
import { scriptLibrary } from "./script-library.ts";
import { unpackLibrary } from "./unpack-library.ts";

const tools = [
  "lvm",
  "qemu-img",
  "curl",
  "flock",
  "prlimit",
  "blkdiscard",
  "fallocate",
  "sha256sum",
  "perl",
];

/** A script that tells everything about a host's volumes and cache at once; see `parseProbe`. */
export function renderProbe(cache: CacheLayout): string {
  const report = reportOptions.join(" ");
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
    `volumes=$(vg_lvm lvs ${report} -o ${volumeColumns})`,
    "section volumes; printf '%s\\n' \"$volumes\"",
    `section devices`,
    "declare -A device_of=()",
    "while read -r id; do",
    // It may go at any moment: another run is removing it.
    '  [ -b "/dev/$id" ] && device=$(stat -L -c %t:%T -- "/dev/$id" 2>/dev/null) || continue',
    "  device_of[$device]=$id",
    '  printf \'%s\\t%s\\n\' "$device" "$id"',
    "done < <(vg_lvm lvs --noheadings --separator / -o vg_name,lv_name | tr -d ' ')",
    "section open",
    "gw_open_devices | while read -r id path; do",
    '  [ -z "${device_of[$id]-}" ] || gw_process "$path" | sed "s/^/$id\\t/"',
    "done | sort -u",
    `cache=${quote(cache.folder)}`,
    "section cache; find \"$cache\" -maxdepth 1 -type f -printf '%f\\t%s\\n' 2>/dev/null || true",
    // The first bytes of a qcow2 tell the length of its disk.
    'section disks; for file in "$cache"/[0-9a-f]*.image; do',
    '  [ -f "$file" ] || continue',
    '  printf \'%s\\t%s\\n\' "${file##*/}" "$(head -c 32 -- "$file" | od -An -v -tx1 | tr -d \' \\n\')"',
    "done 2>/dev/null || true",
    `section rates; cat ${quote(cache.rates)} 2>/dev/null || true`,
    'section free; while [ ! -d "$cache" ]; do cache=$(dirname "$cache"); done',
    'df --output=avail -B1 -- "$cache" | tail -n 1',
    "gw_done=1",
    "",
  ].join("\n");
}

function countLookup(result: "hit" | "miss"): string {
  return `gw_count ${quote(`groundwork_cache_lookups_total{result="${result}"}`)} 1`;
}

/**
 * A script that makes sure of a cache entry and prints the image's first bytes as
 * `@value header BASE64`; those of what is in it where it is packed, and for a packed raw disk its length
 * as `@value unpacked BYTES`. Without a source it only reads the entry that is there.
 */
export function renderEnsureEntry(args: {
  cache: CacheLayout;
  digest: string;
  bytes: number;
  format: ImageFormat;
  source?: { url: string; etag?: string };
}): string {
  const { cache, digest, bytes, format, source } = args;
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
      ? ["whole || gw_fail host-changed 'the cache entry is gone'", countLookup("hit")]
      : [
          `part=${quote(cache.partial(digest))}`,
          `request=${quote(request)}`,
          fetchLibrary,
          'mkdir -p -m 0750 -- "$cache"',
          `gw_lock ${quote(cache.lock(digest))} 3600 'another run has been fetching the image for an hour'`,
          "if whole; then",
          `  ${countLookup("hit")}`,
          "else",
          `  ${countLookup("miss")}`,
          "  resumed=$(gw_received); gw_begin",
          "  gw_fetch",
          // What an earlier run had left may be at fault: once more from the start.
          '  if [ "$seen" != "$digest" ] && [ "$resumed" -gt 0 ]; then',
          "    gw_discard; gw_fetch",
          "  fi",
          '  [ "$seen" = "$digest" ] || { gw_discard; gw_fail digest-mismatch "$seen"; }',
          '  chmod 0640 -- "$part"; sync -- "$part"; mv -fT -- "$part" "$entry"; sync -- "$cache"',
          '  gw_took fetchImage "$gw_fetched" "$gw_fetched"',
          `  echo '@value fetched yes'; echo "@value steps $gw_steps"; gw_keep_rates ${quote(cache.rates)} || true`,
          "fi",
        ]),
    // Its time says when it was last used, which is what eviction goes by.
    'gw_use "$entry"; touch -c -- "$entry"',
    // A copy of it serves better, if there is one.
    'for encoded in "$cache/$digest".*.zstd; do',
    "  size=${encoded%.zstd} size=${size##*.}",
    '  [ -f "$encoded" ] && [ "$(stat -c %s -- "$encoded")" = "$size" ] || continue',
    '  entry=$encoded; touch -c -- "$entry"; echo "@value encoded ${entry##*/}"',
    "done",
    ...renderHead(format),
    "gw_done=1",
    "",
  ].join("\n");
}

function renderHead({ disk, packing }: ImageFormat): string[] {
  const length = String(headerBytes);
  if (packing === "none")
    return [`echo "@value header $(head -c ${length} -- "$entry" | base64 -w 0)"`];
  return [
    unpackLibrary,
    `command -v ${packing} >/dev/null || gw_fail host-lacks-tool ${packing}`,
    `echo "@value header $(gw_unpacked_head ${packing} "$entry" ${length} | base64 -w 0)"`,
    ...(disk === "raw" ? [`echo "@value unpacked $(gw_unpacked_bytes ${packing} "$entry")"`] : []),
  ];
}

/** Quotes a word for a curl configuration file. */
function curlQuote(word: string): string {
  return `"${word.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

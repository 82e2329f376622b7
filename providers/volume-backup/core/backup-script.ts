import { quote } from "../../host/core/script.ts";
import { scriptLibrary } from "../../image-volume/core/script-library.ts";
import {
  devicePath,
  renderVolumeScript,
  type VolumeGroupCommands,
} from "../../volume-group/core/commands.ts";
import { sealLibrary } from "./seal-library.ts";

/** How an image is cut for its upload: S3 takes at most 10 000 parts of 5 MiB to 5 GiB. */
export function planParts(virtualBytes: number): { partBytes: number; count: number } {
  const mebibyte = 2 ** 20;
  // What cannot be compressed grows by its tables: less than a sixteenth.
  const most = virtualBytes + Math.ceil(virtualBytes / 16) + 64 * mebibyte;
  const partBytes = Math.max(64 * mebibyte, Math.ceil(most / 9000 / mebibyte) * mebibyte);
  return { partBytes, count: Math.ceil(most / partBytes) };
}

/**
 * A script that turns a volume into a compressed qcow2 and puts that into the object store, piece by piece
 * to the given URLs. Prints `@value digest`, `bytes` and `etags` (`PART:ETAG …`).
 */
export function renderBackup(args: {
  commands: VolumeGroupCommands;
  volumeGroup: string;
  volumeName: string;
  /** The host's folder for what is on its way; one backup at a time uses it. */
  folder: string;
  image: string;
  seal: boolean;
  partBytes: number;
  /** Where each part goes, from the first on. Secret. */
  urls: readonly string[];
}): string {
  const { commands, volumeGroup, volumeName, folder, image, seal, partBytes, urls } = args;
  const file = `${folder}/${image}.qcow2`;
  const raw = `${folder}/${image}.raw`;
  return renderVolumeScript(commands, [
    scriptLibrary,
    backupLibrary,
    ...(seal ? [sealLibrary] : []),
    "umask 0077",
    `mkdir -p -m 0700 -- ${quote(folder)}`,
    `gw_lock ${quote(`${folder}.lock`)} 14400 'another backup has been under way for four hours'`,
    `gw_scratch+=(${quote(`${folder}.lock`)})`,
    `find ${quote(folder)} -mindepth 1 -maxdepth 1 -type f -delete`,
    commands.activate(volumeGroup, volumeName),
    `source=${quote(devicePath(volumeGroup, volumeName))} file=${quote(file)} part_bytes=${String(partBytes)}`,
    'gw_scratch+=("$file" "$file.part" "$file.head" "$file.said")',
    ...(seal
      ? [
          `raw=${quote(raw)}`,
          'gw_scratch+=("$raw")',
          'gw_to_file raw -T none -- "$source" "$raw"',
          'gw_seal "$raw" "$raw"',
          "source=$raw",
        ]
      : []),
    'gw_to_file qcow2 -c -o compression_type=zstd -m 8 -T none -- "$source" "$file"',
    'echo "@value digest $(gw_digest <"$file")"',
    'bytes=$(stat -c %s -- "$file")',
    'echo "@value bytes $bytes"',
    `urls=(${urls.map(quote).join(" ")})`,
    'gw_upload "$file"',
    "gw_done=1",
  ]);
}

const backupLibrary = String.raw`
gw_to_file() { # FORMAT OPTION... -- FROM TO
  local format=$1; shift
  qemu-img convert -p -f raw -O "$format" "$@" | gw_convert_progress
}

# gw_upload FILE: puts it to the URLs, a part each; a part that fails is tried thrice.
gw_upload() {
  local part=0 at=0 etag attempt etags=''
  while [ "$at" -lt "$bytes" ]; do
    dd if="$1" of="$1.part" bs=1M iflag=skip_bytes,count_bytes skip="$at" count="$part_bytes" status=none
    for attempt in 1 2 3; do
      etag=''
      # The URL lets whoever has it write, so it is in no argument list.
      if printf 'url = "%s"\n' "${"${urls[part]}"}" |
        curl -q -sS -f --connect-timeout 15 --speed-limit 1 --speed-time 60 -K - -D "$1.head" -o /dev/null -T "$1.part" 2>"$1.said"; then
        etag=$(tr -d '\r"' <"$1.head" | sed -n 's/^[Ee][Tt]ag: *//p' | tail -n 1)
      fi
      [ -z "$etag" ] || break
      [ "$attempt" -lt 3 ] || gw_fail upload-failed "$(tail -c 200 "$1.said")"
      sleep "$attempt"
    done
    part=$((part + 1)) at=$((at + part_bytes))
    etags+="$part:$etag "
    echo "@progress upload $((at < bytes ? at : bytes))"
  done
  echo "@value etags $etags"
}
`.trim();

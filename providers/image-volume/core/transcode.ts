import { quote } from "../../host/core/script.ts";
import { type CacheLayout, cacheLayout } from "./layout.ts";
import type { ImageFile } from "./populate.ts";
import { digestLibrary } from "./script-library.ts";

/** How entries are kept: as they came, or with a copy beside them that decodes in half the time. */
export const encodings = ["asIs", "zstd"] as const;
export type Encoding = (typeof encodings)[number];

/**
 * A script that writes a copy of a zlib-compressed qcow2 entry beside it, compressed with zstd, whose
 * name tells its own digest too. It takes what the host has to spare, and leaves nothing where the
 * entry goes meanwhile, is not compressed, or qemu-img knows no zstd.
 */
function renderTranscode(cache: CacheLayout, digest: string, entry: string): string {
  return `
set -euo pipefail; umask 0027
for fd in /proc/$BASHPID/fd/*; do # whoever started us holds locks
  fd=\${fd##*/}; [ "$fd" -le 2 ] || eval "exec $fd>&-"
done
${digestLibrary}
cd ${quote(cache.folder)}
exec 8>${quote(cache.encodingLock(digest))} 9<${quote(entry)}
flock -n 8 && flock -n -s 9 && [ /dev/fd/9 -ef ${quote(entry)} ] || exit 0
for there in ${digest}.*.zstd; do [ ! -e "$there" ] || exit 0; done
draft=${quote(cache.encodingDraft(digest))}
trap 'rm -f -- "$draft" ${quote(cache.encodingLock(digest))}' EXIT
trap 'exit 143' TERM INT HUP
limits='prlimit --as=4294967296 --cpu=3600 --core=0 --'
data=$($limits qemu-img map -f qcow2 --output=json -- ${quote(entry)} | grep '"data": true' | grep '"zero": false' |
  sed -n 's/.*"length": \\([0-9]*\\).*/\\1/p' | awk '{ sum += $1 } END { printf "%.0f", sum }')
bytes=$(stat -c %s -- ${quote(entry)})
[ "$data" -gt $((bytes + bytes / 20)) ] || exit 0
free=$(df --output=avail -B1 . | tail -n 1)
[ "$free" -gt $((bytes * 2)) ] || exit 0
$limits qemu-img convert -c -W -m 2 -f qcow2 -O qcow2 -o compression_type=zstd -- ${quote(entry)} "$draft"
own=$(gw_digest <"$draft")
chmod 0640 -- "$draft"; sync -- "$draft"
mv -fT -- "$draft" "${digest}.$own.$(stat -c %s -- "$draft").zstd"
`.trim();
}

/** Starts it so that it goes on when the script that started it, and the connection, have ended. */
export function renderTranscodeLater({
  digest,
  entry,
}: Pick<ImageFile, "digest" | "entry">): string {
  const cache = cacheLayout(entry.slice(0, entry.lastIndexOf("/")));
  const script = renderTranscode(cache, digest, entry);
  return `setsid --fork nice -n 19 bash -c ${quote(script)} </dev/null >/dev/null 2>&1`;
}

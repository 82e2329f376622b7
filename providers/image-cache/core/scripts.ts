import { quote } from "../../host/core/script.ts";
import { type CacheLayout, corruptSuffix } from "../../image-volume/core/layout.ts";
import { digestLibrary } from "../../image-volume/core/script-library.ts";
import type { CacheFile } from "./listing.ts";

/**
 * The locks, both taken with flock: a fetch holds the digest's lock file, and who reads an entry
 * holds the entry itself, shared (gw_use in image-volume/core/script-library.ts). A lock file may be
 * removed by who holds it, so who waited for it looks whether it is still there.
 */
const library = String.raw`
is_held() { # FILE -s|-x: whether somebody's lock forbids ours; makes no file
  [ -f "$1" ] && ! (flock -n "$2" 9) 9<"$1" 2>/dev/null && [ -f "$1" ]
}
`.trim();

function begin(cache: CacheLayout): string[] {
  return ["set -euo pipefail; umask 0027", library, `cache=${quote(cache.folder)}`];
}

/** A script that lists the cache, changing nothing; see `parseListing`. */
export function renderList(cache: CacheLayout): string {
  return [...begin(cache), listing, ""].join("\n");
}

const listing = String.raw`
printf 'now\t%s\n' "$(date +%s)"
above=$cache
while [ ! -d "$above" ]; do above=$(dirname "$above"); done
printf 'free\t%s\n' "$(df --output=avail -B1 -- "$above" | tail -n 1 | tr -d ' ')"
[ -d "$cache" ] || exit 0
find "$cache" -maxdepth 1 -type f -printf 'file\t%f\t%s\t%T@\n'
for file in "$cache"/*.lock; do
  ! is_held "$file" -s || printf 'busy\t%s\n' "$(basename "$file")"
done
for file in "$cache"/*.image "$cache"/*.zstd; do
  ! is_held "$file" -x || printf 'busy\t%s\n' "$(basename "$file")"
done
`.trim();

/**
 * A script that reads every given entry and compares its content with its digest. Prints
 * `verified NAME RESULT` for each, tab-separated; an entry that differs is set aside, unless a run
 * is reading it, which will find out by itself.
 */
export function renderVerify(
  cache: CacheLayout,
  files: readonly Pick<CacheFile, "name" | "contentDigest" | "bytes" | "state">[],
): string {
  const calls = files.map(
    ({ name, contentDigest = "", bytes, state }) =>
      `verify ${quote(name)} ${contentDigest} ${state === "truncated" ? "cut" : String(bytes)}`,
  );
  return [...begin(cache), digestLibrary, verifying, ...calls, ""].join("\n");
}

const verifying = String.raw`
verify() ( # NAME DIGEST BYTES
  renice -n 19 -p "$BASHPID" >/dev/null
  result() { printf 'verified\t%s\t%s\n' "$name" "$1"; exit 0; }
  name=$1 entry=$cache/$1
  [ -f "$entry" ] || result gone
  exec 9<"$entry"
  flock -w 60 -s 9 || result busy
  if [ "$(stat -c %s -- "$entry")" = "$3" ]; then
    [ "$(gw_digest <&9)" != "$2" ] || result ok
  fi
  flock -n -x 9 || result corrupt-in-use
  [ ! /dev/fd/9 -ef "$entry" ] || case "$entry" in
  *.zstd) rm -f -- "$entry" ;; # a copy, made again from its entry
  *) mv -fT -- "$entry" "$entry${corruptSuffix}" ;;
  esac
  result corrupt
)
`.trim();

/**
 * A script that removes files, each under its digest's lock and only if no run has used it since it
 * was listed. Prints `evicted NAME` or `kept NAME` for each, tab-separated.
 */
export function renderEvict(
  cache: CacheLayout,
  files: readonly Pick<CacheFile, "name" | "digest" | "usedAtSeconds">[],
): string {
  const calls = files.map(
    ({ name, digest, usedAtSeconds }) =>
      `evict ${quote(name)} ${quote(cache.lock(digest))} ${String(usedAtSeconds)}`,
  );
  return [...begin(cache), evicting, ...calls, ""].join("\n");
}

const evicting = String.raw`
evict() ( # NAME LOCK SECONDS
  result() { printf '%s\t%s\n' "$1" "$name"; exit 0; }
  name=$1 file=$cache/$1
  [ -f "$file" ] || result evicted
  exec 8>"$2"
  flock -n 8 && [ /dev/fd/8 -ef "$2" ] || result kept
  exec 9<"$file"
  flock -n -x 9 && [ "$(stat -c %Y -- "$file")" = "$3" ] || result kept
  rm -f -- "$file" "$2"
  result evicted
)
`.trim();

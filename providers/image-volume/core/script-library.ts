import { metricsLibrary } from "./metrics-library.ts";

/** Hashes a file as every script does. */
export const digestLibrary = String.raw`
# gw_digest <FILE: SHA-256. OpenSSL uses the processor's own instructions, which sha256sum often does not.
gw_digest() {
  if openssl dgst -sha256 </dev/null >/dev/null 2>&1; then openssl dgst -sha256 -r; else sha256sum; fi | cut -c1-64
}
`.trim();

/**
 * The bash functions that every script of this provider stands on. What a script has to tell the
 * program goes to standard output as `@fail CODE DETAIL`, `@value NAME VALUE` and
 * `@progress KIND NUMBER` lines (see `parseScriptReport`, `parseProgress`).
 */
export const scriptLibrary = String.raw`
gw_undo=() gw_background=() gw_scratch=() gw_done='' gw_steps='' gw_rates='' gw_finishing=''

${metricsLibrary}

# What the run made is taken back, newest first, unless it came to its end.
gw_finish() { # [STATUS]
  local status=$? i
  [ -z "$gw_finishing" ] || return 0
  gw_finishing=yes
  status=${"${1:-$status}"}
  trap - EXIT
  trap '' TERM INT HUP # a signal to the whole group shall not hit what takes things back
  for ((i = 0; i < ${"${#gw_background[@]}"}; i++)); do kill "${"${gw_background[i]}"}" 2>/dev/null || true; done
  if [ -z "$gw_done" ]; then
    for ((i = ${"${#gw_undo[@]}"} - 1; i >= 0; i--)); do eval "${"${gw_undo[i]}"}" || true; done
  fi
  gw_write_metrics "$status" || true
  for ((i = 0; i < ${"${#gw_scratch[@]}"}; i++)); do rm -f -- "${"${gw_scratch[i]}"}"; done
  exit "$status"
}
trap gw_finish EXIT
trap 'gw_finish 143' TERM INT HUP

gw_fail() { gw_code=$1; printf '@fail %s %s\n' "$1" "${"${2//$'\\n'/ }"}"; exit 0; }

# gw_lock FILE SECONDS WHAT: holds the lock until the script and all it started have ended. The file
# may have been removed while we waited for it; then the one that is there now is taken.
gw_lock() {
  while :; do
    exec {gw_fd}>"$1"
    flock -w "$2" "$gw_fd" || gw_fail volume-locked "$3"
    [ ! "/proc/$$/fd/$gw_fd" -ef "$1" ] || return 0
    exec {gw_fd}>&-
  done
}

# gw_begin starts the clock; gw_took notes what has passed since, and starts it again. AMOUNT is what the
# step's time grows with, 0 where nothing can be learnt from it.
gw_begin() { # bash tells the time since 5.0
  gw_since=${"${EPOCHREALTIME:-$(date +%s.%6N)}"}
  gw_since=${"${gw_since/[.,]/}"}
  gw_since=${"${gw_since%???}"}
}
gw_took() { # STEP BYTES AMOUNT
  local before=$gw_since
  gw_begin
  gw_steps+="$1:$((gw_since - before)):$2 "
  gw_rates+="+$1 $((gw_since - before)) $3"$'\n'
}

# gw_keep_rates FILE: adds this run's times to those of earlier ones, which count half each time. Of steps
# below 1 MiB only those are kept that do not grow. Starts no program, for some steps are as short as one:
# of two runs that end at once, one's times are lost.
gw_keep_rates() {
  [ -d "${"${1%/*}"}" ] || return 0
  local step took amount kept='' earlier=''
  local -A took_by=() amount_by=() # amounts in hundredths
  [ ! -f "$1" ] || earlier=$(<"$1")
  while read -r step took amount; do
    [[ $step =~ ^[A-Za-z]+$ && $took =~ ^[0-9]{1,12}$ && $amount =~ ^[0-9]{1,15}[.][0-9]{2}$ ]] || continue
    took_by[$step]=$((10#$took)) amount_by[$step]=$((10#${"${amount/./}"}))
  done <<<"$earlier"
  while read -r step took amount; do
    [[ $step =~ ^[+][A-Za-z]+$ && $amount =~ ^[0-9]{1,15}$ ]] || continue
    [ "$amount" -eq 1 ] || [ "$amount" -ge 1048576 ] || continue
    step=${"${step#+}"}
    took_by[$step]=$((${"${took_by[$step]:-0}"} / 2 + took))
    amount_by[$step]=$((${"${amount_by[$step]:-0}"} / 2 + amount * 100))
  done <<<"$gw_rates"
  for step in "${"${!took_by[@]}"}"; do
    amount=${"${amount_by[$step]}"}
    kept+="$step ${"${took_by[$step]}"} $((amount / 100)).$((amount / 10 % 10))$((amount % 10))"$'\n'
  done
  printf '%s' "$kept" >"$1"
}

${digestLibrary}

# gw_use FILE: keeps a cache entry from being evicted until the script and all it started have ended.
gw_use() {
  [ -f "$1" ] || gw_fail host-changed 'the cache entry is gone'
  exec {gw_fd}<"$1"
  flock -w 60 -s "$gw_fd" && [ "/proc/$$/fd/$gw_fd" -ef "$1" ] || gw_fail host-changed 'the cache entry is gone'
}

# gw_users DEVICE: a line "PID TAB COMMAND TAB DOMAIN" for each process that has the device open. The
# device's number is compared, not its path: libvirt gives domains a /dev of their own.
gw_users() {
  [ -b "$1" ] || return 0
  local wanted id path
  wanted=$(stat -L -c %t:%T -- "$1")
  gw_open_devices | while read -r id path; do
    [ "$id" != "$wanted" ] || gw_process "$path"
  done | sort -u
}

gw_open_devices() {
  { find -L /proc/[0-9]*/fd -mindepth 1 -maxdepth 1 -type b -print0 2>/dev/null || true; } |
    { xargs -0 -r stat -L -c '%t:%T %n' 2>/dev/null || true; }
}

gw_process() { # /proc/PID/fd/N
  local pid=${"${1#/proc/}"} name domain
  pid=${"${pid%%/*}"}
  name=$(tr -cd '[:print:]' <"/proc/$pid/comm" 2>/dev/null || true)
  domain=$(tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | sed -n 's/^guest=\([^,]*\).*/\1/p' | head -n 1 | tr -cd '[:print:]' || true)
  printf '%s\t%s\t%s\n' "$pid" "$name" "$domain"
}

# gw_note_users DEVICE: notes who has the device open before it grows. By that gw_same_users tells, once a
# growth goes on that broke off, whether those are the only ones since: whoever opened it later saw all of
# it, and may have written there. Where nobody had it open nobody can tell.
gw_users_note() { printf '/run/groundwork-growing-%s' "$(stat -L -c %t-%T -- "$1")"; }
gw_note_users() { gw_user_starts "$1" >"$(gw_users_note "$1")"; }
gw_user_starts() {
  local pid
  gw_users "$1" | cut -f 1 | while read -r pid; do
    echo "$pid $(cut -d ')' -f 2- "/proc/$pid/stat" 2>/dev/null | cut -d ' ' -f 21)"
  done
}
gw_same_users() {
  local note
  note=$(gw_users_note "$1")
  [ -s "$note" ] && [ "$(cat "$note")" = "$(gw_user_starts "$1")" ]
}

gw_refuse_open() { # DEVICE
  local users
  users=$(vg_patiently 0.2 gw_users "$1" | awk -F '\t' 'NF { if ($3 != "") print "domain \"" $3 "\""; else print "process " $1 " (" $2 ")" }' | paste -sd, -)
  [ -z "$users" ] || gw_fail volume-in-use "$users"
}

# gw_blank DEVICE: drops what is on the volume; true only if all of it reads as zeroes then. A hole punched
# into a block device is promised to. So is a thin volume of which not one block is left mapped, if its
# pool also zeroes the rest of a block that is written in part.
gw_blank() {
  local kind mapped pool
  fallocate --punch-hole -o 0 -l "$(blockdev --getsize64 "$1")" -- "$1" 2>/dev/null && return 0
  blkdiscard -- "$1" 2>/dev/null || true
  read -r _ _ kind mapped _ < <(dmsetup status -- "$1" 2>/dev/null) || return 1
  [ "$kind:$mapped" = thin:0 ] || return 1
  pool=$(dmsetup table -- "$1" | cut -d' ' -f4)
  pool=$(dmsetup table -j "${"${pool%:*}"}" -m "${"${pool#*:}"}") || return 1
  [[ $pool != *skip_block_zeroing* ]]
}

# gw_zero DEVICE FROM TO [OPTION]: makes the bytes read as zeroes. Where the device can, the kernel does
# it without moving data and gives the space back (a hole punched into a block device is promised to
# read as zeroes, unlike what was merely discarded); else it writes zeroes.
gw_zero() {
  local at=$2 piece said=$SECONDS
  while [ "$at" -lt "$3" ]; do
    piece=$(($3 - at))
    [ "$piece" -le 1073741824 ] || piece=1073741824
    fallocate --punch-hole -o "$at" -l "$piece" -- "$1" 2>/dev/null ||
      blkdiscard -z ${'${4:+"$4"}'} -o "$at" -l "$piece" -- "$1" >&2
    at=$((at + piece))
    [ $((SECONDS - said)) -lt 2 ] || { echo "@progress zero $((at - $2))"; said=$SECONDS; }
  done
}

# gw_convert_progress: turns qemu-img's "(12.34/100%)" into our lines, one every two seconds.
gw_convert_progress() {
  perl -e '
    $| = 1; $/ = "\r";
    my $said = time;
    while (<STDIN>) {
      next if time - $said < 2 || !/\(([0-9.]+)\/100%\)/;
      $said = time;
      print "\@progress convert $1\n";
    }'
}
`.trim();

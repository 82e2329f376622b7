/**
 * The bash functions behind every command on a volume group. They stand in front of a script once
 * (`commands.prelude`); the fragments of `volumeGroupCommands` call them. All hold a lock per volume
 * group while they change something, and all may be repeated.
 */
export const sharedLibrary = String.raw`
set -euo pipefail
export LC_ALL=C LVM_SUPPRESS_FD_WARNINGS=1
[ -e /run/udev/control ] || export DM_DISABLE_UDEV=1 # without udev, LVM makes its device nodes itself

vg_fail() { echo "$*" >&2; exit 1; }

# vg_locked VG COMMAND...: runs the command while no other run of ours changes this volume group.
vg_locked() (
  vg=$1; shift
  [ -d /run/lock ] || mkdir -p /run/lock
  exec {lock}>"/run/lock/groundwork-$vg.lock"
  flock -w 120 "$lock" || vg_fail "volume group $vg has been locked by another run for two minutes"
  "$@"
)

# vg_users DEVICE: prints the processes that hold the device open, one "PID NAME" each.
vg_users() {
  local device pid
  device=$(readlink -f -- "$1")
  { find /proc/[0-9]*/fd -lname "$device" 2>/dev/null || true; } | cut -d/ -f3 | sort -un |
    while read -r pid; do
      [ "$pid" = "$BASHPID" ] || echo "$pid $(cat "/proc/$pid/comm" 2>/dev/null || echo gone)"
    done
}

# vg_patiently SECONDS COMMAND...: prints what the command prints of a device's users. Whoever only looks
# at all devices, such as udev or an LVM command, is gone after some more looks, so many seconds apart.
vg_patiently() {
  local pause=$1 users look; shift
  for look in 1 2 3 4 5; do
    users=$("$@")
    [ -n "$users" ] && [ "$look" -lt 5 ] || break
    sleep "$pause" >/dev/null 2>&1
  done
  echo "$users"
}

# vg_rename VG LV NAME
vg_rename() {
  local names
  names=$(vg_lvm lvs --noheadings -o lv_name "$1" | tr -d ' ')
  if grep -qxF -- "$2" <<<"$names"; then
    ! grep -qxF -- "$3" <<<"$names" || vg_fail "there is a volume $1/$3 already"
    vg_deactivate "$1" "$2"
    vg_lvm lvrename "$1" "$2" "$3" >/dev/null
  else
    grep -qxF -- "$3" <<<"$names" || vg_fail "there is no volume $1/$2"
  fi
  vg_activate "$1" "$3"
}

# vg_idle DEVICE: fails when a process, a mount or the swap uses the device.
vg_idle() {
  local users
  [ -b "$1" ] || return 0
  users=$(vg_patiently 1 vg_users "$1" | paste -sd, -)
  [ -z "$users" ] || vg_fail "$1 is in use by $users"
  perl -MFcntl -e 'sysopen(my $f, $ARGV[0], O_RDONLY | O_EXCL) or exit 1' "$(readlink -f -- "$1")" ||
    vg_fail "$1 is mounted, or used by another device"
}
`.trim();

/** Where the kernel has device mapper, LVM does all of it. */
export const deviceMapperLibrary = String.raw`
vg_lvm() { "$@"; }

vg_activate() { vg_lvm lvchange -ay -Ky "$1/$2"; }

vg_activate_all() { vg_lvm vgchange -ay "$1"; }

vg_deactivate() {
  vg_lvm lvs "$1/$2" >/dev/null 2>&1 || return 0
  vg_idle "/dev/$1/$2"
  vg_lvm lvchange -an "$1/$2"
}

vg_create() { # VG LV BYTES OPTION...
  local vg=$1 lv=$2 bytes=$3; shift 3
  vg_lvm lvcreate -y -Wy -Zy -n "$lv" -L "$bytes"b "$@" "$vg" >/dev/null
}

vg_create_thin() { # VG LV POOL BYTES OPTION...
  local vg=$1 lv=$2 pool=$3 bytes=$4; shift 4
  vg_lvm lvcreate -y --type thin -n "$lv" -V "$bytes"b --thinpool "$pool" "$@" "$vg" >/dev/null
}

vg_clone() { # VG LV ORIGIN OPTION...
  local vg=$1 lv=$2 origin=$3; shift 3
  vg_lvm lvcreate -y --snapshot --setactivationskip n -n "$lv" "$@" "$vg/$origin" >/dev/null
}

# vg_clone_idle: as vg_clone, but fails at once where the volume or its origin has a device.
vg_clone_idle() { # VG LV ORIGIN OPTION...
  local mapped=/dev/mapper/${"${1//-/--}"}
  [ ! -e "$mapped-${"${2//-/--}"}" ] && [ ! -e "$mapped-${"${3//-/--}"}" ] && vg_clone "$@"
}

vg_extend() { # VG LV BYTES
  local now
  now=$(vg_lvm lvs --noheadings --nosuffix --units b -o lv_size "$1/$2")
  [ "$now" -ge "$3" ] || vg_lvm lvextend -L "$3"b "$1/$2" >/dev/null
}

vg_remove() {
  vg_lvm lvs "$1/$2" >/dev/null 2>&1 || return 0
  vg_idle "/dev/$1/$2"
  vg_lvm lvremove -f "$1/$2" >/dev/null
}
`.trim();

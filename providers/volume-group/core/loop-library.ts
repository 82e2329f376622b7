/**
 * Loop activation: the kernel has no device mapper, so LVM only keeps the books (`--driverloaded n`)
 * and a loop device over the volume's extents is its block device, linked as /dev/VG/LV. One loop
 * device maps one run of extents, hence contiguous volumes only; new ones are placed with room behind
 * their neighbour, so that both can grow.
 */
export const loopLibrary = String.raw`
# Much here is asked of the kernel for each loop device, so nothing of it starts a process.

# Volumes' own loop devices are hidden from LVM: a guest may keep a volume group of its own inside.
vg_lvm() {
  local command=$1 filter='' sys offset; shift
  for sys in /sys/block/loop*/loop; do
    read -r offset 2>/dev/null <"$sys/offset" && [ "$offset" != 0 ] || continue
    sys=${"${sys%/loop}"}
    filter+="\"r|^/dev/${"${sys##*/}"}\$|\","
  done
  filter+='"a|^/dev/[^/]+$|","a|^/dev/mapper/|","r|.*|"'
  { # without its warnings that volumes are not activated
    "$command" --driverloaded n --config "devices{hints=\"none\" filter=[$filter]}" "$@" 2>&1 >&3 |
      sed '/WARNING: .*\(Activation disabled\|not zeroed\)/d' >&2
  } 3>&1
}

# vg_table VG: a row per run of extents: PV, bytes before the first extent, bytes per extent, first
# extent, number of extents, kind of segment, volume (none when free).
vg_table() {
  vg_lvm pvs --noheadings --nosuffix --units b --segments --select "vg_name=$1" \
    -o pv_name,pe_start,vg_extent_size,pvseg_start,pvseg_size,segtype,lv_name
}

# vg_backing PV: sets backing and base. The file behind a loop device serves better than that device.
vg_backing() {
  local sys file
  sys=/sys/block/$(basename "$1")/loop
  backing=$1 base=0
  [ -r "$sys/backing_file" ] || return 0
  file=$(cat "$sys/backing_file")
  [ -f "$file" ] || return 0
  [ "$(stat -c %i -- "$file")" = "$(losetup --list --noheadings -O BACK-INO "$1" | tr -d ' ')" ] || return 0
  backing=$file base=$(cat "$sys/offset")
}

# vg_loops BACKING OFFSET: prints the loop devices that begin there.
vg_loops() {
  local sys file offset
  for sys in /sys/block/loop*/loop; do
    read -r offset 2>/dev/null <"$sys/offset" && [ "$offset" = "$2" ] || continue
    IFS= read -r file 2>/dev/null <"$sys/backing_file" && [ "$file" -ef "$1" ] || continue
    sys=${"${sys%/loop}"}
    echo "/dev/${"${sys##*/}"}"
  done
}

# vg_set_size LOOP BYTES: changes the size of an attached loop device, also while it is open.
vg_set_size() {
  local attempt sectors
  read -r sectors <"/sys/block/${"${1##*/}"}/size"
  [ $((sectors * 512)) != "$2" ] || return 0
  for attempt in 1 2 3 4 5; do # an older kernel answers EAGAIN while pages are being written
    perl -e '
      my ($device, $bytes) = @ARGV; my $info = "\0" x 232;
      open(my $file, "+<", $device) or die "cannot open $device: $!\n";
      ioctl($file, 0x4C05, $info) or die "LOOP_GET_STATUS64: $!\n";
      substr($info, 32, 8) = pack("Q", $bytes);
      ioctl($file, 0x4C04, $info) or die "LOOP_SET_STATUS64: $!\n";
    ' "$1" "$2" && break
    [ "$attempt" -lt 5 ] || vg_fail "cannot change the size of $1"
    sync; sleep 0.2
  done
  losetup -c "$1"
  [ "$(blockdev --getsize64 "$1")" = "$2" ] || vg_fail "$1 did not change its size to $2 bytes"
}

# vg_row VG LV: sets pv offset bytes from the table in $table; empty pv when there is no such volume.
vg_row() {
  local row_pv start extent first count kind name
  pv='' offset='' bytes=''
  while read -r row_pv start extent first count kind name; do
    [ "$name" = "$2" ] || continue
    if [ "$kind" != linear ] || [ -n "$pv" ]; then
      vg_fail "volume $1/$2 is not one linear piece, and this kernel has no device mapper to join pieces"
    fi
    pv=$row_pv offset=$((start + first * extent)) bytes=$((count * extent))
  done <<<"$table"
}

vg_map() { # VG LV, with $table set
  local pv offset bytes
  vg_row "$1" "$2"
  [ -n "$pv" ] || vg_fail "there is no volume $1/$2"
  vg_attach "$1" "$2"
}

vg_attach() { # VG LV, with what vg_row sets
  local backing base device link="/dev/$1/$2"
  vg_backing "$pv"
  device=$(vg_loops "$backing" $((base + offset)))
  device=${"${device%%$'\\n'*}"}
  if [ -z "$device" ]; then
    device=$(losetup -f --show -o $((base + offset)) --sizelimit "$bytes" -- "$backing")
    losetup --direct-io=on "$device" 2>/dev/null || true # not every file system can
  fi
  vg_set_size "$device" "$bytes"
  [ -d "/dev/$1" ] || mkdir "/dev/$1"
  [ "$link" -ef "$device" ] && [ -L "$link" ] || ln -sfn "$device" "$link"
}

# vg_devices LINK: prints the loop devices of the volume that vg_row found. When it is gone from the
# books, prints the one that its link leads to, if that still lies in the group.
vg_devices() {
  local loop
  loop=$(basename "$(readlink -- "$1" || true)")
  if [ -n "$pv" ]; then
    vg_backing "$pv"
    vg_loops "$backing" $((base + offset))
  elif [ -r "/sys/block/$loop/loop/offset" ]; then
    for pv in $(awk '{ print $1 }' <<<"$table" | sort -u); do
      vg_backing "$pv"
      offset=$(cat "/sys/block/$loop/loop/offset")
      [ "$offset" -eq "$base" ] || vg_loops "$backing" "$offset" | grep -x "/dev/$loop" || true
    done
  fi
}

vg_unmap() { # VG LV, with $table set
  local pv offset bytes backing base device link="/dev/$1/$2"
  vg_row "$1" "$2"
  for device in $(vg_devices "$link"); do
    vg_idle "$device"
    losetup -d "$device"
  done
  [ ! -L "$link" ] || rm -f "$link"
  [ ! -d "/dev/$1" ] || rmdir --ignore-fail-on-non-empty "/dev/$1"
}

vg_activate() { table=$(vg_table "$1"); vg_map "$1" "$2"; }

vg_activate_all() {
  local name
  table=$(vg_table "$1")
  for name in $(awk '$7 != "" { print $7 }' <<<"$table" | sort -u); do vg_map "$1" "$name"; done
}

vg_deactivate() { table=$(vg_table "$1"); vg_unmap "$1" "$2"; }

# vg_place EXTENTS: prints PV:FIRST-LAST for a new volume: in the largest free run, with up to 8 GiB
# left to the volume before it.
vg_place() {
  awk -v need="$1" '
    $6 == "free" && $5 >= need && $5 > best { best = $5; pv = $1; first = $4; reserve = 8589934592 / $3 }
    END {
      if (!best) exit 1
      gap = first == 0 ? 0 : int((best - need) / 2)
      if (gap > reserve) gap = reserve
      printf "%s:%d-%d\n", pv, first + gap, first + gap + need - 1
    }' <<<"$table"
}

vg_create() { # VG LV BYTES OPTION...
  local vg=$1 lv=$2 bytes=$3 pv start extent need place offset; shift 3
  table=$(vg_table "$vg")
  read -r _ _ extent _ <<<"$table"
  [ -n "$extent" ] || vg_fail "there is no volume group $vg"
  need=$(((bytes + extent - 1) / extent))
  place=$(vg_place "$need") ||
    vg_fail "volume group $vg has no free piece of $bytes bytes (without device mapper, a volume is one piece)"
  vg_lvm lvcreate -y -an -Zn -Wn --alloc contiguous -n "$lv" -l "$need" "$@" "$vg" "$place" >/dev/null
  pv=${"${place%:*}"} place=${"${place##*:}"} bytes=$((need * extent))
  start=$(awk -v pv="$pv" '$1 == pv { print $2; exit }' <<<"$table")
  offset=$((start + ${"${place%-*}"} * extent))
  vg_attach "$vg" "$lv"
}

vg_create_thin() { vg_fail "thin volumes need device mapper, which this kernel has not"; }
vg_clone() { vg_create_thin; }
vg_clone_idle() { vg_create_thin; }

vg_extend() { # VG LV BYTES
  local pv offset bytes
  table=$(vg_table "$1")
  vg_row "$1" "$2"
  [ -n "$pv" ] || vg_fail "there is no volume $1/$2"
  if [ "$bytes" -lt "$3" ]; then
    vg_lvm lvextend --alloc contiguous -L "$3"b "$1/$2" >/dev/null ||
      vg_fail "volume $1/$2 cannot grow to $3 bytes in one piece, and this kernel has no device mapper to join pieces"
  fi
  [ ! -e "/dev/$1/$2" ] || vg_activate "$1" "$2"
}

vg_remove() {
  vg_deactivate "$1" "$2"
  vg_lvm lvs "$1/$2" >/dev/null 2>&1 || return 0
  vg_lvm lvremove -f "$1/$2" >/dev/null
}
`.trim();

/**
 * Bash that takes out of a raw disk what makes a machine that one machine: machine-id, host keys, the state
 * of cloud-init (with the private host key in it), the random seed, DHCP leases. It is done by e2fsprogs on
 * the file itself: nothing of the guest's is ever mounted by the host's kernel. Blocks that get free are
 * punched out of the file, so that their content is not in the image either.
 */
export const sealLibrary = String.raw`
gw_bounded() { prlimit --as=4294967296 --cpu=900 --core=0 -- "$@"; }

# gw_names LOOP FOLDER: a line "MODE NAME" for each entry of a folder; nothing where there is none.
gw_names() {
  gw_bounded debugfs -R "ls -p $2" "$1" 2>/dev/null </dev/null |
    awk -F / 'NF >= 8 && $6 != "." && $6 != ".." && $6 != "" { print $3, $6 }'
}

# gw_walk LOOP FOLDER: debugfs commands that empty the folder.
gw_walk() {
  local mode name
  gw_names "$1" "$2" | while read -r mode name; do
    # Others cannot be named to debugfs; what stays is found when it is looked for afterwards.
    [[ $name =~ ^[A-Za-z0-9._:@+=,-]+$ ]] || continue
    case "$mode" in
    04*) gw_walk "$1" "$2/$name"; echo "rmdir $2/$name" ;;
    *) echo "rm $2/$name" ;;
    esac
  done
}

gw_check_fs() { # LOOP OPTION...
  local device=$1 status=0; shift
  gw_bounded e2fsck -f -y "$@" "$device" >&2 </dev/null || status=$?
  [ "$status" -le 1 ] || gw_fail image-unsealable "e2fsck ended with $status"
}

gw_seal_root() { # LOOP SCRATCH
  local name commands=$2.commands
  gw_scratch+=("$commands" "$2.empty")
  : >"$2.empty"
  {
    gw_walk "$1" /var/lib/cloud
    gw_walk "$1" /var/lib/dhcp
    gw_names "$1" /etc/ssh | while read -r _ name; do
      [[ ! $name =~ ^ssh_host_[a-z0-9_]+_key(\.pub)?$ ]] || echo "rm /etc/ssh/$name"
    done
    gw_names "$1" /var/lib/dbus | sed -n 's|^010.* machine-id$|rm /var/lib/dbus/machine-id|p'
    for name in random-seed credential.secret; do
      gw_names "$1" /var/lib/systemd | sed -n "s|^.* $name\$|rm /var/lib/systemd/$name|p"
    done
    gw_names "$1" /etc | sed -n 's|^.* machine-id$|rm /etc/machine-id|p'
    printf '%s\n' "write $2.empty /etc/machine-id" 'sif /etc/machine-id mode 0100444' \
      'sif /etc/machine-id uid 0' 'sif /etc/machine-id gid 0'
  } >"$commands"
  gw_bounded debugfs -w -f "$commands" "$1" >&2 </dev/null
  gw_check_fs "$1" -E discard
  [ -z "$(gw_names "$1" /var/lib/cloud)" ] || gw_fail image-unsealable 'something is left in /var/lib/cloud'
  ! gw_names "$1" /etc/ssh | grep -q 'ssh_host_.*_key$' || gw_fail image-unsealable 'host keys are left'
  [ -z "$(gw_bounded debugfs -R 'cat /etc/machine-id' "$1" 2>/dev/null </dev/null)" ] ||
    gw_fail image-unsealable 'a machine-id is left'
}

# gw_seal FILE SCRATCH
gw_seal() {
  local start sectors loop sealed=''
  while read -r start sectors; do
    loop=$(losetup -f --show -o $((start * 512)) --sizelimit $((sectors * 512)) -- "$1")
    gw_undo+=("losetup -d $loop")
    case "$(blkid -p -o value -s TYPE -- "$loop" || true)" in
    ext[234])
      gw_check_fs "$loop"
      if gw_names "$loop" /etc | grep -q ' passwd$'; then gw_seal_root "$loop" "$2"; sealed=yes; fi
      ;;
    esac
    losetup -d "$loop"
    unset "gw_undo[-1]"
  done < <(
    partx -g -r -o START,SECTORS -- "$1" 2>/dev/null || true
    echo "0 $(($(stat -c %s -- "$1") / 512))" # a disk without partitions
  )
  [ -n "$sealed" ] || gw_fail image-unsealable 'no ext2, ext3 or ext4 file system on it has an /etc/passwd'
}
`.trim();

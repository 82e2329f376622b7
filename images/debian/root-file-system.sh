# shellcheck shell=bash
# Sourced by build: from packages to an ext4 file system in $work/rootfs.img.
# shellcheck disable=SC2154 # the variables are build's

install_packages() {
  local listed include
  listed=$(grep -v -e '^#' -e '^$' "$here/packages.list")
  # After Debian 12 it is a package of its own.
  [ "$release" = bookworm ] || listed+=$'\nsystemd-repart'
  include=$(printf '%s\n' $listed "${packages[@]}" | paste -sd,)
  # One less, since mmdebstrap dates what is newer than its own start as that start.
  echo $(($(date +%s) - 1)) >"$boot/started"
  # Not under SOURCE_DATE_EPOCH: Python would then check the hash of each module at each import.
  env --unset=SOURCE_DATE_EPOCH INITRD=No \
    mmdebstrap --mode=root --format=tar --variant=apt --architectures=amd64 \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
    --aptopt='Acquire::Retries "3"' \
    --dpkgopt="$here/overlay/etc/dpkg/dpkg.cfg.d/90cloud-image" \
    --include="$include" \
    --essential-hook="$(printf '%q "$1" %q' "$here/hook-before" "$here")" \
    --customize-hook="$(printf '%q "$1" %q %q' "$here/hook-after" "$boot" "$epoch")" \
    "$release" "$work/root.tar" "${sources[@]}"
  epoch=$(cat "$boot/epoch")
  # What the other tools date by: e2fsprogs before and after 1.47.1, mtools, mkfs.vfat.
  export SOURCE_DATE_EPOCH=$epoch E2FSPROGS_FAKE_TIME=$epoch
}

make_root_file_system() {
  tar -C "$root" -xf "$work/root.tar" --numeric-owner --xattrs --xattrs-include='*' --exclude='./dev/*'
  rm "$work/root.tar"
  mkdir -p "$root/boot/grub"
  sed "s/@ROOT_UUID@/$(uuid root)/" "$here/grub.cfg" >"$root/boot/grub/grub.cfg"
  printf 'UUID=%s / ext4 rw,discard,errors=remount-ro,x-systemd.growfs 0 1\n' "$(uuid root)" >"$root/etc/fstab"
  install_files
  # Files of packages keep their dates; what this build made has none of its own.
  find "$root" -newermt "@$(cat "$boot/started")" -print0 |
    xargs -0r touch --no-dereference --date="@$epoch"
  truncate -s $((root_sectors * 512)) "$work/rootfs.img"
  mke2fs -q -t ext4 -L root -U "$(uuid root)" -m 1 \
    -E "hash_seed=$(uuid hash),lazy_itable_init=0,lazy_journal_init=0" -d "$root" "$work/rootfs.img"
  fix_inode_times
}

# Puts the files of --file where they belong. A link in the image must not lead out of it, and what was
# hashed when the image was decided upon must be what is copied.
install_files() {
  local file mode digest path source folder image
  image=$(realpath "$root") # the cache may lie behind a link
  for file in "${files[@]}"; do
    IFS=: read -r mode digest path source <<<"$file"
    folder=$(realpath -m "$image$(dirname "$path")")
    case $folder/ in
      "$image"/*) ;;
      *) echo "file $path: a link in the image leads out of it" >&2 && return 1 ;;
    esac
    if [ -d "$root$path" ] || [ -L "$root$path" ]; then
      echo "file $path: the image has a folder or a link of that name" >&2 && return 1
    fi
    mkdir -p "$folder"
    install -m "$mode" "$source" "$folder/$(basename "$path")"
    echo "$digest  $folder/$(basename "$path")" | sha256sum --check --status ||
      { echo "file $path: $source was changed meanwhile" >&2 && return 1; }
  done
}

# mke2fs copies times of access and change, which no tool can set, from the folder. It numbers the
# inodes of files in one sequence after the reserved ones.
fix_inode_times() {
  local used
  used=$(dumpe2fs -h "$work/rootfs.img" 2>/dev/null |
    awk -F: '/^Inode count/ { all = $2 } /^Free inodes/ { free = $2 } END { print all - free }')
  {
    echo 2
    seq 11 "$used"
  } | awk -v epoch="$epoch" '{ for (i = 1; i <= split("atime ctime crtime", names, " "); i++)
      print "set_inode_field <" $1 "> " names[i] " @" epoch }' >"$work/times"
  debugfs -w -f "$work/times" "$work/rootfs.img" >/dev/null 2>"$work/errors" ||
    { cat "$work/errors" >&2 && return 1; }
}

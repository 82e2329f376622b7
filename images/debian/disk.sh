# shellcheck shell=bash
# Sourced by build: from $work/rootfs.img to $work/disk.raw with its boot loaders.
# shellcheck disable=SC2154 # the variables are build's
#
# GPT with a BIOS boot partition (14), an EFI system partition (15) and, last, so that it can grow,
# the root file system (1): the layout of Debian's own cloud images.
bios_first=2048 bios_sectors=2048
esp_first=4096 esp_sectors=131072
root_first=$((esp_first + esp_sectors))
root_sectors=$((size_gib * 2097152 - 2048 - root_first))

make_disk() {
  local last
  last() { echo $(($1 + $2 - 1)); }
  make_esp
  truncate -s "${size_gib}G" "$work/disk.raw"
  sgdisk --disk-guid="$(uuid disk)" \
    --new=1:$root_first:"$(last $root_first $root_sectors)" --typecode=1:8304 --change-name=1:root --partition-guid="1:$(uuid 1)" \
    --new=14:$bios_first:"$(last $bios_first $bios_sectors)" --typecode=14:ef02 --change-name=14:bios --partition-guid="14:$(uuid 14)" \
    --new=15:$esp_first:"$(last $esp_first $esp_sectors)" --typecode=15:ef00 --change-name=15:esp --partition-guid="15:$(uuid 15)" \
    "$work/disk.raw" >/dev/null
  place "$work/rootfs.img" $root_first
  place "$work/esp.img" $esp_first
  rm "$work/rootfs.img" "$work/esp.img"
  install_bios_loader
}

# Copies a file onto the disk at a sector; holes stay holes.
place() {
  dd if="$1" of="$work/disk.raw" bs=1M oflag=seek_bytes seek=$(($2 * 512)) conv=notrunc,sparse status=none
}

# shim and GRUB as Debian signs them, at the path that firmware tries without a boot entry.
make_esp() {
  local esp=$work/esp.img id
  id=$(uuid esp)
  truncate -s $((esp_sectors * 512)) "$esp"
  mkfs.vfat -F 32 -n ESP -i "${id:0:8}" --invariant "$esp" >/dev/null
  first_grub_config >"$work/first.cfg"
  export MTOOLS_SKIP_CHECK=1
  mmd -i "$esp" ::/EFI ::/EFI/BOOT ::/EFI/debian
  mcopy -i "$esp" "$boot/usr/lib/shim/shimx64.efi.signed" ::/EFI/BOOT/BOOTX64.EFI
  mcopy -i "$esp" "$boot/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed" ::/EFI/BOOT/grubx64.efi
  mcopy -i "$esp" "$work/first.cfg" ::/EFI/debian/grub.cfg
}

# What each boot loader brings along: where the real configuration is.
first_grub_config() {
  printf 'search --no-floppy --fs-uuid --set=root %s\n' "$(uuid root)"
  # shellcheck disable=SC2016 # GRUB's variables
  printf 'set prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n'
}

# What grub-bios-setup does, without a block device: the boot sector names the first sector of the
# core image, whose own first sector names the place and length of the rest.
install_bios_loader() {
  local modules=$boot/usr/lib/grub/i386-pc core=$work/core.img sectors
  grub-mkimage --directory="$modules" --format=i386-pc --output="$core" --prefix=/boot/grub \
    --config="$work/first.cfg" \
    biosdisk part_gpt ext2 search search_fs_uuid configfile linux normal minicmd test echo serial terminal
  sectors=$((($(stat -c %s "$core") + 511) / 512))
  if [ "$sectors" -gt "$bios_sectors" ]; then
    echo "GRUB for BIOS has $sectors sectors, and there is room for $bios_sectors" >&2
    return 1
  fi
  poke "$core" 500 8 $((bios_first + 1))
  poke "$core" 508 2 $((sectors - 1))
  dd if="$core" of="$work/disk.raw" bs=512 seek=$bios_first conv=notrunc status=none
  head -c 440 "$modules/boot.img" >"$work/boot.sector"
  poke "$work/boot.sector" 92 8 $bios_first
  dd if="$work/boot.sector" of="$work/disk.raw" conv=notrunc status=none
}

# Writes a little-endian number: poke FILE OFFSET BYTES VALUE
poke() {
  local byte number=$4 bytes=''
  for ((byte = 0; byte < $3; byte++)); do
    bytes+=$(printf '\\x%02x' $((number & 255)))
    number=$((number >> 8))
  done
  printf '%b' "$bytes" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

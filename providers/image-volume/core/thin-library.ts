/** Bash that asks the kernel how full a thin pool is, which LVM's percentages tell only roughly. */
export const thinLibrary = String.raw`
# gw_pool VG POOL: sets the numbers of blocks meta_used, meta_all (of 4 KiB), data_used and data_all, the
# mode, and what device mapper calls the pool.
gw_pool() {
  local meta data rest
  pool_name="${"${1//-/--}-${2//-/--}"}"
  [ -e "/dev/mapper/$pool_name" ] || vg_lvm lvchange -ay "$1/$2" >&2
  [ ! -e "/dev/mapper/$pool_name-tpool" ] || pool_name+=-tpool # as soon as there is a volume in it
  read -r _ _ _ _ meta data _ mode rest < <(dmsetup status -- "$pool_name")
  meta_used=${"${meta%/*}"} meta_all=${"${meta#*/}"} data_used=${"${data%/*}"} data_all=${"${data#*/}"}
}

# gw_chunk: sets chunk to the length of a block of the pool that gw_pool has looked at, in bytes.
gw_chunk() {
  local table
  read -ra table < <(dmsetup table -- "$pool_name")
  chunk=$((table[5] * 512))
}

# gw_pool_takes VG POOL BLOCKS: fails unless so many more blocks find room, with their metadata.
gw_pool_takes() {
  gw_pool "$1" "$2"
  local meta=$((meta_all - meta_used)) data=$((data_all - data_used))
  [ "$mode" != out_of_data_space ] || gw_fail thin-pool-full "$2: no block is free"
  [ "$mode" = rw ] || gw_fail thin-pool-unfit "$2: the kernel calls it $mode"
  [ "$data" -gt "$3" ] || {
    gw_chunk
    gw_fail thin-pool-full "$2: $((data * chunk)) bytes are free of the $(($3 * chunk)) needed"
  }
  # A block of metadata describes 126 to 252 blocks of data, and some more are needed on the way.
  [ "$meta" -gt $(($3 / 126 + 32)) ] ||
    gw_fail thin-metadata-full "$2: $((meta * 4)) KiB are free of the $((($3 / 126 + 32) * 4)) needed"
}

# gw_mapped VG LV: sets uuid to how the kernel knows the active volume ("LVM-", the group's UUID, the
# volume's), and bytes to its length; 0 where it knows of none.
gw_mapped() {
  local mapped name
  uuid='' bytes=0
  for mapped in /sys/class/block/dm-*; do
    { read -r name <"$mapped/dm/name"; } 2>/dev/null || continue # one that goes away meanwhile
    [ "$name" = "${"${1//-/--}-${2//-/--}"}" ] || continue
    read -r uuid <"$mapped/dm/uuid"
    read -r bytes <"$mapped/size"
    bytes=$((bytes * 512))
    return 0
  done
}

# gw_blocks FORMAT FILE, after gw_chunk: prints how many blocks of a pool the image's data takes.
gw_blocks() {
  prlimit --as=4294967296 --cpu=600 --core=0 -- qemu-img map -f "$1" --output=json -- "$2" |
    awk -v chunk="$chunk" '
      function field(name) {
        if (!match($0, "\"" name "\": [a-z0-9]+")) return ""
        return substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 4)
      }
      BEGIN { seen = -1 }
      field("data") == "true" && field("zero") == "false" {
        first = int(field("start") / chunk)
        last = int((field("start") + field("length") - 1) / chunk)
        if (first <= seen) first = seen + 1
        if (last >= first) { blocks += last - first + 1; seen = last }
      }
      END { printf "%.0f\n", blocks }'
}
`.trim();

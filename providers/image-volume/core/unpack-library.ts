/**
 * Bash that unpacks images. What comes out is not trusted: time and memory are limited, and whoever
 * reads it takes no more than was announced.
 */
export const unpackLibrary = String.raw`
# gw_unpack PACKING <FILE
gw_unpack() {
  prlimit --as=4294967296 --cpu=900 --core=0 -- "$1" --decompress --stdout
}

# gw_unpacked_head PACKING FILE BYTES
gw_unpacked_head() { { gw_unpack "$1" <"$2" 2>/dev/null || true; } | head -c "$3"; }

# gw_unpacked_bytes PACKING FILE: how long the content is. Only xz always and zstd mostly know.
gw_unpacked_bytes() {
  local told=''
  case "$1" in
  xz) told=$(xz --robot --list -- "$2" 2>/dev/null | awk '$1 == "totals" { print $5 }') || true ;;
  zstd) told=$(zstd --list -v -- "$2" 2>/dev/null | sed -n 's/^Decompressed Size:.*(\([0-9]*\) B)$/\1/p') || true ;;
  esac
  [[ $told =~ ^[0-9]{1,15}$ ]] || told=$(gw_unpack "$1" <"$2" | wc -c)
  echo "$told"
}

# gw_write_disk DEVICE BYTES [sparse] <CONTENT: writes so many bytes, of which there must not be fewer or
# more. With sparse, which the device must read as zeroes for, blocks of zeroes are left out.
gw_write_disk() {
  local lastpipe text='' said=$SECONDS written=0
  lastpipe=$(shopt -p lastpipe || true)
  shopt -s lastpipe
  { LC_ALL=C dd of="$1" bs=1M iflag=fullblock oflag=direct conv="notrunc${"${3:+,$3}"}" status=progress 2>&1 || echo '@failed'; } |
    while IFS= read -r -d $'\r' text || [ -n "$text" ]; do
      [[ $text != *@failed* ]] || written=-1
      [ "$written" -lt 0 ] || [[ ! $text =~ (^|.*[^0-9])([0-9]+)\ bytes ]] || written=${"${BASH_REMATCH[2]}"}
      [ $((SECONDS - said)) -ge 2 ] || continue
      said=$SECONDS
      echo "@progress convert $((written * 100 / $2))"
    done
  eval "$lastpipe"
  [ "$written" = "$2" ] || vg_fail "the image unpacks to $written bytes and announced $2"
}
`.trim();

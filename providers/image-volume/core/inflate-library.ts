/**
 * Writes a qcow2 image whose clusters are compressed with zlib or zstd onto a block device, or into a new sparse
 * file. It does what `qemu-img convert -n -t none` does, in half the time and less: qemu-img moves each
 * cluster of 64 KiB by itself, this writes up to 2 MiB at once. See docs/adr/0013.
 *
 * Standard input is the image, whose header was checked before; it may still be growing. Everything else
 * in the file is hostile: offsets are held against the file's length, and no cluster becomes longer than
 * a cluster.
 *
 * https://gitlab.com/qemu-project/qemu/-/blob/master/docs/interop/qcow2.rst
 */
const inflater = String.raw`
import ctypes, fcntl, mmap, os, signal, struct, sys, time, zlib

# METHOD: zlib or zstd. NAMES: of the image's file, while it is fetched
device, method, blank, jobs, total, header, *names = sys.argv[1:]
jobs, total, header = int(jobs), int(total), bytes.fromhex(header)
offsets, failed = 0x00fffffffffffe00, 2**64 - 1
inode = os.fstat(0).st_ino
image, have, looked = 0, 0, time.monotonic()
written_to, flushed = None, 0 # the device

class Refusal(Exception): pass

def is_stale(): # whether another file has taken its place
  global looked
  if time.monotonic() - looked < 1: return False
  looked = time.monotonic()
  for name in names:
    try:
      if os.stat(name).st_ino == inode: return False
    except FileNotFoundError: pass
  return True

def idle(): # while the image is still to come, what was written of it reaches the disk
  global flushed
  if written_to is None or time.monotonic() - flushed < 1: return time.sleep(0.02)
  os.fdatasync(written_to)
  flushed = time.monotonic()

def await_image(offset, length): # returns how much of that the file has, once it is there
  global have
  if offset >= total: raise Refusal("a table points behind the end of the image")
  end = min(offset + length, total)
  while have < end:
    have = os.fstat(image).st_size
    if have >= end: break
    if not names: raise Refusal("the image is cut short")
    if is_stale(): raise Refusal("the image was fetched anew")
    idle()
  return end - offset

def read(offset, target):
  done = 0
  while done < len(target):
    count = os.preadv(image, [target[done:]], offset + done)
    if not count: raise Refusal("the image is cut short")
    done += count

def take(offset, length):
  data = bytearray(await_image(offset, length))
  read(offset, memoryview(data))
  return data

def numbers(data): return struct.unpack_from(f">{len(data) // 8}Q", data)

class Memory: # begins at a page, as direct I/O wants it
  def __init__(self, length):
    space = mmap.mmap(-1, length)
    self.length, self.view = length, memoryview(space)
    self.address = ctypes.addressof(ctypes.c_char.from_buffer(space))

def make_inflate(): # libdeflate inflates more than twice as fast as zlib
  pointer, size = ctypes.c_void_p, ctypes.c_size_t
  try:
    library = ctypes.CDLL("libdeflate.so.0")
    library.libdeflate_alloc_decompressor.restype = pointer
    decompressor, decompress = library.libdeflate_alloc_decompressor(), library.libdeflate_deflate_decompress
    decompress.argtypes = [pointer, pointer, size, pointer, size, pointer]
  except OSError: decompressor = None
  def inflate(source, at, length, target, to):
    if decompressor and not decompress(decompressor, source.address + at, length, target.address + to, cluster, None): return
    # What goes on behind a cluster's end is left out, as qemu-img does.
    try: data = zlib.decompressobj(-12).decompress(source.view[at:at + length], cluster)
    except zlib.error: data = b""
    if len(data) != cluster: raise Refusal("a cluster is not what zlib makes")
    target.view[to:to + cluster] = data
  return inflate

def make_unzstd():
  pointer, size = ctypes.c_void_p, ctypes.c_size_t
  library = ctypes.CDLL("libzstd.so.1")
  library.ZSTD_createDCtx.restype = pointer
  context, measure, decompress = library.ZSTD_createDCtx(), library.ZSTD_findFrameCompressedSize, library.ZSTD_decompressDCtx
  measure.argtypes, measure.restype = [pointer, size], size
  decompress.argtypes, decompress.restype = [pointer, pointer, size, pointer, size], size
  def inflate(source, at, length, target, to): # one frame or several; errors are lengths that none can have
    done = used = 0
    while done < cluster:
      begin, left, room = source.address + at + used, length - used, cluster - done
      frame = measure(begin, left)
      made = decompress(context, target.address + to + done, room, begin, frame) if frame <= left else failed
      if made > room: raise Refusal("a cluster is not what zstd makes")
      done, used = done + made, used + frame
  return inflate

def work(job, report):
  global image, written_to
  image = os.open("/dev/fd/0", os.O_RDONLY)
  out = os.open(device, os.O_WRONLY | (os.O_DIRECT if is_device else 0))
  if is_device: written_to = out
  inflate = make_unzstd() if method == "zstd" else make_inflate()
  buffer, ahead = Memory(max(cluster, 2 << 20)), Memory(max(1 << 20, 2 * cluster))
  begins = filled = 0 # what the one holds of the disk
  ahead_from = ahead_to = 0 # what the other holds of the image

  def flush():
    nonlocal filled
    written = 0
    while written < filled: written += os.pwrite(out, buffer.view[written:filled], begins + written)
    filled = 0

  def erase(first, last): # clusters that the image does not have, where the device is not known to be empty
    if blank or first >= last: return
    end = last * cluster if last * cluster < size else size + 4095 & ~4095
    fcntl.ioctl(out, 0x127f, struct.pack("QQ", first * cluster, end - first * cluster)) # BLKZEROOUT

  shift = 62 - (bits - 8)
  seen, l2 = -1, ()
  for first in range(job * piece, clusters, jobs * piece):
    last = min(first + piece, clusters)
    if first // per_table != seen:
      seen = first // per_table
      offset = l1[seen] & offsets
      if offset % cluster: raise Refusal("a table is not where one can be")
      l2 = numbers(take(offset, cluster)) if offset else ()
      if offset and len(l2) < per_table: raise Refusal("a table is cut short")
    if not l2: # nobody need hear of a hole
      erase(first, last)
      continue
    empty, consumed = first, 0 # from where on nothing is there
    for number in range(first, last):
      entry = l2[number % per_table]
      is_compressed = entry >> 62 & 1
      if not is_compressed and (entry & 1 or not entry & offsets): continue
      erase(empty, number)
      empty, at = number + 1, number * cluster
      if filled and (at != begins + filled or filled + cluster > buffer.length): flush()
      if not filled: begins = at
      if is_compressed:
        offset = entry & (1 << shift) - 1
        length = ((entry >> shift & (1 << 62 - shift) - 1) + 1) * 512 - (offset & 511)
        if offset >= total: raise Refusal("a cluster points behind the end of the image")
        if offset < ahead_from or min(offset + length, total) > ahead_to:
          # What follows is wanted next; more than is there is not waited for.
          more = length if names and offset + ahead.length > have else ahead.length
          ahead_from, ahead_to = offset, offset + await_image(offset, more)
          read(offset, ahead.view[:ahead_to - offset])
        inflate(ahead, offset - ahead_from, min(length, total - offset), buffer, filled)
        consumed += length
      else:
        offset = entry & offsets
        if offset % cluster: raise Refusal("a cluster is not where one can be")
        there = filled + await_image(offset, cluster)
        read(offset, buffer.view[filled:there])
        buffer.view[there:filled + cluster] = bytes(filled + cluster - there)
        consumed += cluster
      filled += cluster
      if at + cluster > size: # the disk ends within the cluster
        end = size - begins
        filled = end + 4095 & ~4095 # the longest sector that disks have
        buffer.view[end:filled] = bytes(filled - end)
    erase(empty, last)
    if pieces is not None and consumed:
      flush()
      os.write(pieces, struct.pack("Q", first * cluster))
    os.write(report, struct.pack("Q", consumed))
  flush()
  if is_device: os.fsync(out)

def begin():
  global bits, size, cluster, per_table, l1, clusters, piece, is_device, pieces
  start = take(0, len(header) or 104)
  if header and start != header: raise Refusal("its beginning differs")
  bits, size, _, l1_entries, l1_offset = struct.unpack_from(">IQIIQ", start, 20)
  cluster = 1 << bits
  per_table, clusters = cluster // 8, -(-size // cluster)
  l1 = numbers(take(l1_offset, 8 * l1_entries))
  # The pieces that are handed out in turn: 8 MiB, or what one table tells of.
  piece = min((8 << 20) // cluster or 1, per_table)
  is_device, pieces = os.path.exists(device), None
  if is_device: return
  new = os.O_WRONLY | os.O_CREAT | os.O_EXCL
  os.truncate(os.open(device, new, 0o640), size + 4095 & ~4095)
  # Where who copies the file hears of those that have been written, which is for this boot only.
  pieces = os.open(device + ".pieces", new | os.O_APPEND, 0o640)
  os.write(pieces, struct.pack("Q", piece * cluster))

def run(reports, report):
  running = []
  for job in range(jobs):
    pid = os.fork()
    if not pid:
      status = attempt(lambda: work(job, report))
      if status: os.write(report, struct.pack("Q", failed))
      os._exit(status)
    running.append(pid)
  os.close(report)
  done, said = 0, time.monotonic()
  while message := os.read(reports, 8):
    consumed, = struct.unpack("Q", message)
    if consumed == failed:
      for pid in running: os.kill(pid, signal.SIGTERM)
      break
    done += consumed
    if time.monotonic() - said < 2: continue
    said = time.monotonic()
    print(f"@progress convert {min(100, 100 * done / total):.2f}", flush=True)
  statuses = [os.waitpid(pid, 0)[1] for pid in running]
  if any(statuses): sys.exit(1)

def attempt(action):
  try: action()
  except Refusal as reason: print(reason, file=sys.stderr, flush=True)
  except (OSError, MemoryError) as reason: print(f"cannot write {device}: {reason!r}", file=sys.stderr, flush=True)
  else: return 0
  return 1

sys.exit(attempt(begin) or attempt(lambda: run(*os.pipe())))
`.trim();

/** Bash around it; `gw_inflates` tells whether this host can. */
export const inflateLibrary = String.raw`
gw_inflater=$(cat <<'EOF'
${inflater}
EOF
)

# The system's own, isolated and without the packages of the site: it needs none, and begins faster.
gw_python() {
  local python=/usr/bin/python3
  [ -x "$python" ] || python=python3
  "$python" -IS "$@"
}

gw_inflates() { # METHOD
  gw_python -c '
import ctypes, mmap, sys, zlib
if sys.argv[1] == "zstd": ctypes.CDLL("libzstd.so.1").ZSTD_findFrameCompressedSize
sys.exit(sys.version_info < (3, 8) or sys.maxsize < 2**32)' "$1" 2>/dev/null
}

# gw_inflate DEVICE|FILE METHOD BYTES HEADER [PART ENTRY] <IMAGE: one process more than there are processors, for one
# of them waits for the disk; at most four.
gw_inflate() {
  local jobs=$(($(nproc) + 1)) device=$1 method=$2
  shift 2
  [ "$jobs" -le 4 ] || jobs=4
  gw_python -c "$gw_inflater" "$device" "$method" "${"${target:+1}"}" "$jobs" "$@"
}
`.trim();

/**
 * Copies a disk onto a block device that reads as zeroes, while it is being decoded into a sparse file:
 * each piece that the decoder tells of. It ends once the file has the name that it has when it is whole
 * and right. The file is mapped, and direct I/O writes its very pages: nothing is copied on the way.
 */
const copier = String.raw`
import mmap, os, struct, sys, time

file, device = sys.argv[1:]
page, most = 4096, 2 << 20
zeroes = bytes(most)

def is_gone(): # asked in the order in which the one takes the other's place
  return not os.path.exists(file + ".new") and not os.path.exists(file)

def begin(): # what tells of pieces, and what they are read from
  while True:
    whole = os.path.exists(file) # its pieces are told there as well
    try: return os.open(file + ".new.pieces", os.O_RDONLY), os.open(file if whole else file + ".new", os.O_RDONLY)
    except FileNotFoundError:
      if whole: raise
      if os.path.exists(file + ".new.pieces") and is_gone(): sys.exit("the decoded disk is gone")
    time.sleep(0.02)

def is_empty(at, end): # mostly the first page tells
  return disk[at:at + page] == zeroes[:page] and disk[at:end].tobytes() == zeroes[:end - at]

def copy(at, end):
  while at < end:
    length, done = min(most, end - at), 0
    if not is_empty(at, at + length):
      while done < length: done += os.pwrite(to, disk[at + done:at + length], at + done)
    at += length

pieces, source = begin()
size = os.fstat(source).st_size # whole sectors of the longest kind
disk = memoryview(mmap.mmap(source, size, prot=mmap.PROT_READ)) # read-only, so it counts as nobody's memory
to = os.open(device, os.O_WRONLY | os.O_DIRECT)
told, piece = b"", 0
while True:
  whole = os.path.exists(file) # asked before the last look at what is told
  while more := os.read(pieces, 65536): told += more
  known = len(told) & ~7
  for at, in struct.iter_unpack("Q", told[:known]):
    if piece: copy(at, min(at + piece, size))
    else: piece = at
  told = told[known:]
  if whole: break
  if is_gone(): sys.exit("the decoded disk is gone")
  time.sleep(0.01)
os.fsync(to)
`.trim();

/** Bash around it; it needs what `inflateLibrary` has. */
export const copyLibrary = String.raw`
gw_copier=$(cat <<'EOF'
${copier}
EOF
)

# gw_copy FILE DEVICE: copies what gw_inflate is writing to FILE.new, which is FILE in the end.
gw_copy() { gw_python -c "$gw_copier" "$1" "$2"; }
`.trim();

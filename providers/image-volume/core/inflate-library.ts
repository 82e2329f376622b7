/**
 * Writes a qcow2 image whose clusters are compressed with zlib onto a block device, or into a new sparse
 * file. It does what
 * `qemu-img convert -n -t none` does, in little more than half the time: qemu-img moves each cluster
 * of 64 KiB by itself, this writes up to 2 MiB at once. See docs/adr/0013.
 *
 * Standard input is the image, whose header was checked before; it may still be growing. Everything else
 * in the file is hostile: offsets are held against the file's length, and no cluster becomes longer than
 * a cluster.
 *
 * https://gitlab.com/qemu-project/qemu/-/blob/master/docs/interop/qcow2.rst
 */
const inflater = String.raw`
use strict; use warnings; no warnings "portable"; use Fcntl qw(:DEFAULT O_DIRECT SEEK_SET);
use Compress::Raw::Zlib; use IO::Handle;
# NAMES: of the image's file, while it is fetched
my ($device, $blank, $jobs, $bytes, $header, @names) = @ARGV;
$header = pack("H*", $header);
my $inode = (stat STDIN)[1];
my $looked = time;

sub stale { # whether another file has taken its place
  return 0 if !@names || time == $looked;
  $looked = time;
  for my $name (@names) { my @stat = stat $name; return 0 if @stat && $stat[1] == $inode }
  return 1;
}
my ($image, $have) = (undef, 0);
sub at { # OFFSET LENGTH: what the file has there, waiting for it
  my ($offset, $length) = @_;
  my $end = $offset + $length;
  die "a table points behind the end of the image\n" if $offset >= $bytes;
  $end = $bytes if $end > $bytes;
  while ($have < $end) {
    $have = -s $image;
    last if $have >= $end;
    die "the image is cut short\n" if !@names;
    die "the image was fetched anew\n" if stale();
    select(undef, undef, undef, 0.02);
  }
  sysseek($image, $offset, SEEK_SET);
  my $data = "";
  while (length $data < $end - $offset) {
    sysread($image, $data, $end - $offset - length $data, length $data) or die "cannot read the image: $!\n";
  }
  return $data;
}
sub open_image { open($image, "<:raw", "/dev/fd/0") or die "cannot open the image: $!\n" }

open_image();
my $start = at(0, length($header) || 104);
die "its beginning differs\n" if length $header && $start ne $header;
my (undef, undef, undef, undef, $bits, $size, undef, $l1_entries, $l1_offset) = unpack("NNQ>NNQ>NNQ>", $start);
my $cluster = 1 << $bits;
my $per_table = $cluster / 8;
my @l1 = unpack("Q>*", at($l1_offset, 8 * $l1_entries));
my $offsets = 0x00fffffffffffe00;
my $clusters = int(($size + $cluster - 1) / $cluster);
# The pieces that are handed out in turn: 8 MiB, or what one table tells of.
my $piece = (8 << 20) / $cluster || 1;
$piece = $per_table if $piece > $per_table;

my $is_device = -b $device;
my $pieces; # where who copies the file hears of those that have been written
if (!$is_device) { # which is for this boot only
  my $file;
  sysopen($file, $device, O_WRONLY | O_CREAT | O_EXCL, 0640) && truncate($file, $size) &&
    sysopen($pieces, "$device.pieces", O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0640) &&
    syswrite($pieces, pack("Q", $piece * $cluster))
    or die "cannot make $device: $!\n";
}

sub work {
  my ($job, $report) = @_;
  open_image();
  sysopen(my $out, $device, O_WRONLY | ($is_device ? O_DIRECT : 0)) or die "cannot open $device: $!\n";
  my $most = $cluster > (2 << 20) ? $cluster : 2 << 20;
  # Direct I/O wants memory that begins at a page.
  my $buffer = "\0" x ($most + 4096);
  my $aligned = -unpack("J", pack("P", $buffer)) & 4095;
  my ($from, $filled) = (0, 0);
  my $flush = sub {
    my $written = 0;
    sysseek($out, $from, SEEK_SET);
    while ($written < $filled) {
      my $count = syswrite($out, $buffer, $filled - $written, $aligned + $written);
      die "cannot write to $device: $!\n" if !$count;
      $written += $count;
    }
    $filled = 0;
  };
  my $erase = sub { # clusters that the image does not have, where the device is not known to be empty
    my ($first, $last) = @_;
    return if $blank || $first >= $last;
    my $end = $last * $cluster < $size ? $last * $cluster : ($size + 4095) & ~4095;
    ioctl($out, 0x127f, pack("QQ", $first * $cluster, $end - $first * $cluster)) # BLKZEROOUT
      or die "cannot zero $device: $!\n";
  };
  my $inflate = Compress::Raw::Zlib::Inflate->new(-WindowBits => -12, -Bufsize => $cluster, -LimitOutput => 1)
    or die "no memory\n";
  my ($table, @l2) = (-1);
  my ($read, $read_from) = ("", 0);
  my $shift = 62 - ($bits - 8);
  for (my $first = $job * $piece; $first < $clusters; $first += $jobs * $piece) {
    my $last = $first + $piece < $clusters ? $first + $piece : $clusters;
    my $wanted = int($first / $per_table);
    if ($wanted != $table) {
      $table = $wanted;
      my $offset = $l1[$table] & $offsets;
      die "a table is not where one can be\n" if $offset % $cluster;
      @l2 = $offset ? unpack("Q>*", at($offset, $cluster)) : ();
    }
    if (!@l2) { $erase->($first, $last); next } # nobody need hear of a hole
    die "a table is cut short\n" if @l2 < $per_table;
    my ($empty, $consumed) = (undef, 0);
    for my $number ($first .. $last - 1) {
      my $entry = $l2[$number % $per_table];
      my $data = "";
      if ($entry & (1 << 62)) {
        my $offset = $entry & ((1 << $shift) - 1);
        my $length = ((($entry >> $shift) & ((1 << (62 - $shift)) - 1)) + 1) * 512 - ($offset & 511);
        if ($offset < $read_from || $offset + $length > $read_from + length $read) {
          # What follows is wanted next; more than is there is not waited for.
          my $ahead = ($offset + (1 << 20) <= $have || !@names) ? 1 << 20 : $length;
          $read = at($offset, $ahead > $length ? $ahead : $length);
          $read_from = $offset;
        }
        my $input = substr($read, $offset - $read_from, $length);
        $inflate->inflateReset;
        $inflate->inflate($input, $data);
        die "a cluster is not what zlib makes\n" if length $data != $cluster;
        $consumed += $length;
      } elsif (($entry & $offsets) && !($entry & 1)) {
        my $offset = $entry & $offsets;
        die "a cluster is not where one can be\n" if $offset % $cluster;
        $data = at($offset, $cluster);
        $data .= "\0" x ($cluster - length $data);
        $consumed += $cluster;
      } else {
        $empty = $number if !defined $empty;
        next;
      }
      if (defined $empty) { $erase->($empty, $number); undef $empty }
      my $at = $number * $cluster;
      if ($at + $cluster > $size) { # the disk ends within the cluster
        $data = substr($data, 0, $size - $at);
        $data .= "\0" x (-length($data) & 4095); # the longest sector that disks have
      }
      $flush->() if $filled && ($at != $from + $filled || $filled + length $data > $most);
      $from = $at if !$filled;
      substr($buffer, $aligned + $filled, length $data) = $data;
      $filled += length $data;
    }
    $erase->($empty, $last) if defined $empty;
    if ($pieces && $consumed) {
      $flush->();
      syswrite($pieces, pack("Q", $first * $cluster)) or die "cannot write $device.pieces: $!\n";
    }
    syswrite($report, pack("Q", $consumed));
  }
  $flush->();
  !$is_device || $out->sync or die "cannot flush $device: $!\n";
}

pipe(my $reports, my $report) or die "pipe: $!\n";
my %running;
for my $job (0 .. $jobs - 1) {
  my $pid = fork() // die "fork: $!\n";
  if (!$pid) {
    close $reports;
    exit 0 if eval { work($job, $report); 1 };
    print STDERR $@;
    syswrite($report, pack("Q", ~0));
    exit 1;
  }
  $running{$pid} = 1;
}
close $report;
$| = 1;
my ($done, $said) = (0, time);
my $failed = 0;
while (sysread($reports, my $report, 8)) {
  my $consumed = unpack("Q", $report);
  if ($consumed == ~0) { kill "TERM", keys %running; $failed = 1; last }
  $done += $consumed;
  next if time - $said < 2;
  $said = time;
  printf "\@progress convert %.2f\n", $done >= $bytes ? 100 : 100 * $done / $bytes;
}
for (keys %running) { waitpid($_, 0); $failed = 1 if $? }
exit $failed;
`.trim();

/** Bash around it; `gw_inflates` tells whether this host can. */
export const inflateLibrary = String.raw`
gw_inflater=$(cat <<'EOF'
${inflater}
EOF
)

gw_inflates() { perl -MCompress::Raw::Zlib -MFcntl=O_DIRECT -e 'exit(length pack("J", 0) == 8 ? 0 : 1)' 2>/dev/null; }

# gw_inflate DEVICE|FILE BYTES HEADER [PART ENTRY] <IMAGE: one process more than there are processors, for one
# of them waits for the disk; at most four.
gw_inflate() {
  local jobs=$(($(nproc) + 1)) device=$1
  shift
  [ "$jobs" -le 4 ] || jobs=4
  perl -e "$gw_inflater" "$device" "${"${target:+1}"}" "$jobs" "$@"
}
`.trim();

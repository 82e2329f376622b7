/**
 * Copies a disk onto a block device that reads as zeroes, while it is being decoded into a sparse file:
 * each piece that the decoder tells of. It ends once the file has the name that it has when it is whole
 * and right.
 */
const copier = String.raw`
use strict; use warnings; use Fcntl qw(:DEFAULT O_DIRECT SEEK_SET); use IO::Handle;
my ($file, $device) = @ARGV;
my ($from, $pieces);
until (sysopen($pieces, "$file.new.pieces", O_RDONLY) && sysopen($from, "$file.new", O_RDONLY)) {
  if (-e $file) { # it is whole, and its pieces are told there as well
    sysopen($pieces, "$file.new.pieces", O_RDONLY) && sysopen($from, $file, O_RDONLY) && last;
    die "cannot read $file: $!\n";
  }
  select(undef, undef, undef, 0.02);
}
sysopen(my $to, $device, O_WRONLY | O_DIRECT) or die "cannot open $device: $!\n";
my $size = -s $from;
my $most = 1 << 20;
my $zeroes = "\0" x $most;
my $buffer = "\0" x ($most + 4096);
my $aligned = -unpack("J", pack("P", $buffer)) & 4095; # direct I/O wants memory that begins at a page

sub copy { # FROM TO
  my ($at, $end) = @_;
  while ($at < $end) {
    my $length = $end - $at < $most ? $end - $at : $most;
    sysseek($from, $at, SEEK_SET);
    my $read = 0;
    while ($read < $length) {
      $read += sysread($from, $buffer, $length - $read, $aligned + $read) || die "cannot read $file: $!\n";
    }
    my $whole = ($length + 4095) & ~4095; # the longest sector that disks have
    substr($buffer, $aligned + $length, $whole - $length) = "\0" x ($whole - $length);
    if (substr($buffer, $aligned, $length) ne substr($zeroes, 0, $length)) {
      sysseek($to, $at, SEEK_SET);
      my $written = 0;
      while ($written < $whole) {
        $written += syswrite($to, $buffer, $whole - $written, $aligned + $written) || die "cannot write to $device: $!\n";
      }
    }
    $at += $length;
  }
}

my ($told, $piece, $whole) = ("", 0, 0);
while (1) {
  my $complete = -e $file; # asked before the last look at what is told
  while (sysread($pieces, $told, 65536, length $told)) { }
  while (length $told >= 8) {
    my $at = unpack("Q", substr($told, 0, 8, ""));
    if (!$piece) { $piece = $at; next }
    copy($at, $at + $piece < $size ? $at + $piece : $size);
  }
  last if $complete;
  -e "$file.new" || -e $file or die "the decoded disk is gone\n";
  select(undef, undef, undef, 0.01);
}
$to->sync or die "cannot flush $device: $!\n";
`.trim();

/** Bash around it. */
export const copyLibrary = String.raw`
gw_copier=$(cat <<'EOF'
${copier}
EOF
)

# gw_copy FILE DEVICE: copies what gw_inflate is writing to FILE.new, which is FILE in the end.
gw_copy() { perl -e "$gw_copier" "$1" "$2"; }
`.trim();

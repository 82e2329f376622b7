/**
 * A small NBD server (fixed newstyle, read-only, one client) that hands out the beginning of a file
 * as far as another run has fetched it, and lets whoever asks for more wait. The file is standard
 * input. It ends when the client does, when the file is no longer what that run is fetching, and when
 * its first bytes are not those that were looked at before any tool was to open it.
 *
 * https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
 */
const server = String.raw`
use strict; use warnings; use Socket;
my ($socket, $part, $entry, $bytes, $header) = @ARGV;
$header = pack("H*", $header);
my $inode = (stat STDIN)[1];
umask 0077;
my $listening;
socket($listening, AF_UNIX, SOCK_STREAM, 0) && bind($listening, sockaddr_un("$socket.new")) &&
  listen($listening, 1) && rename("$socket.new", $socket) or die "cannot listen on $socket: $!\n";
accept(my $client, $listening) or die "accept: $!\n";
unlink $socket;

sub have { -s STDIN }
sub stale {
  for my $file ($part, $entry) { my @stat = stat $file; return 0 if @stat && $stat[1] == $inode }
  return 1;
}
sub take { # BYTES from the client, all of them
  my $taken = "";
  while (length $taken < $_[0]) { sysread($client, $taken, $_[0] - length $taken, length $taken) or exit 0 }
  return $taken;
}
sub give {
  my $at = 0;
  while ($at < length $_[0]) { $at += syswrite($client, $_[0], length($_[0]) - $at, $at) // exit 1 }
}
sub answer { my ($option, $type, $data) = @_; give(pack("NNNNN", 0x3e889, 0x045565a9, $option, $type, length $data) . $data) }
sub idle { # SECONDS: whether the client has something to say before they have passed
  my $ready = ""; vec($ready, fileno($client), 1) = 1;
  return select($ready, undef, undef, $_[0]) > 0;
}

give("NBDMAGIC" . "IHAVEOPT" . pack("n", 3));
take(4);
while (1) {
  my (undef, $option, $length) = unpack("a8NN", take(16));
  my $data = take($length);
  if ($option == 7) { # GO
    answer(7, 3, pack("nQ>n", 0, $bytes, 3));
    answer(7, 1, "");
    last;
  }
  if ($option == 2) { answer(2, 1, ""); exit 0 } # ABORT
  answer($option, 2**31 + 1, "");
}

my ($input, $checked, $looked, @waiting) = ("", 0, time);
while (1) {
  my $have = have();
  if (!$checked && $have >= length $header) {
    sysseek(STDIN, 0, 0); sysread(STDIN, my $start, length $header);
    die "its beginning differs\n" if $start ne $header;
    $checked = 1;
  }
  my @later;
  for my $request (@waiting) {
    my ($cookie, $offset, $length) = @$request;
    if (!$checked || ($offset + $length > $have && $have < $bytes)) { push @later, $request; next }
    sysseek(STDIN, $offset, 0);
    my $data = "";
    while (length $data < $length) { last unless sysread(STDIN, $data, $length - length $data, length $data) }
    $data .= "\0" x ($length - length $data); # past the end, to a whole sector
    give(pack("NNa8", 0x67446698, 0, $cookie) . $data);
  }
  @waiting = @later;
  if (@waiting && time > $looked) { $looked = time; stale() && die "it was fetched anew\n" }
  idle(@waiting ? 0.02 : undef) or next;
  sysread($client, $input, 65536, length $input) or exit 0;
  while (length $input >= 28) {
    my (undef, undef, $type, $cookie, $offset, $length) = unpack("Nnna8Q>N", substr($input, 0, 28, ""));
    exit 0 if $type == 2;
    if ($type == 0) { push @waiting, [$cookie, $offset, $length] }
    else { give(pack("NNa8", 0x67446698, 22, $cookie)) } # EINVAL
  }
}
`.trim();

/** Bash that reads an image while another run is still fetching it. */
export const followLibrary = String.raw`
gw_server=$(cat <<'EOF'
${server}
EOF
)

# gw_follow PART ENTRY BYTES HEADER [yes]: sets $source to what the image can be read from: the entry if
# it is there; else an NBD server that follows the fetch, or with "yes" the growing file itself. The
# descriptor $gw_image is what is read.
gw_follow() {
  until { exec {gw_image}<"$2"; } 2>/dev/null || { exec {gw_image}<"$1"; } 2>/dev/null; do sleep 0.05; done
  flock -s "$gw_image" # keeps it from being evicted
  source=$2
  [ ! "/proc/$$/fd/$gw_image" -ef "$2" ] || return 0
  if [ "${"${5-}"}" = yes ]; then source=/proc/$$/fd/$gw_image; return 0; fi
  local socket="/run/lock/groundwork-$$.sock" look
  gw_scratch+=("$socket")
  rm -f -- "$socket"
  perl -e "$gw_server" "$socket" "$1" "$2" "$3" "$4" <&"$gw_image" >&2 &
  gw_background+=($!)
  for look in {1..200}; do
    [ ! -S "$socket" ] || break
    kill -0 "$!" 2>/dev/null || gw_fail host-changed 'the image could not be followed while it is fetched'
    sleep 0.01
  done
  source="nbd+unix:///?socket=$socket"
}

# gw_followed PART ENTRY: waits until the fetch has found the digest right, which makes it the entry.
gw_followed() {
  until [ "/proc/$$/fd/$gw_image" -ef "$2" ]; do
    [ "/proc/$$/fd/$gw_image" -ef "$1" ] || [ "/proc/$$/fd/$gw_image" -ef "$2" ] ||
      gw_fail host-changed 'the image was fetched anew'
    sleep 0.02
  done
}
`.trim();

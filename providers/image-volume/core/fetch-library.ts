/** How many parts of an image are fetched at once. */
export const partsAtOnce = 4;
/** Less than this comes in one piece: more connections would not be any faster. */
const partsFromBytes = 32 * 2 ** 20;
/** The shortest part; of a large image at most so many are made. */
const [partBytes, mostParts] = [8 * 2 ** 20, 512];

/**
 * Fetches an image into `$part` and hashes it meanwhile: needs the variables of `renderEnsureEntry`.
 *
 * `$part` always holds the beginning of the image. Parts that come before their turn wait in
 * `$part.OFFSET` and are appended in order, so that a run that was killed leaves what the next one
 * goes on from, whether it fetches in parts or in one piece.
 */
export const fetchLibrary = String.raw`
gw_fetched=0 # bytes that came over the network
full='' # "yes" once a part found no room behind the others

gw_received() { { stat -c %s "$part" "$part".[0-9]* 2>/dev/null || true; } | awk '{ sum += $1 } END { print sum + 0 }'; }

gw_fetch_progress() { while sleep 2 >/dev/null 2>&1; do echo "@progress fetch $(gw_received)"; done; }

gw_size() { stat -c %s -- "$1" 2>/dev/null || echo 0; }

# gw_hash_begin: hashes $part in the background as it grows, until gw_hash_end puts its digest into $seen.
gw_hash_begin() {
  : >>"$part"
  coproc gw_hash { gw_follow | gw_digest; }
  gw_hash_pid=$! gw_hash_stop=${"${gw_hash[1]}"}
  exec {gw_hash_result}<&"${"${gw_hash[0]}"}"
}

gw_hash_end() {
  eval "exec $gw_hash_stop>&-"
  read -r seen <&"$gw_hash_result" || true
  exec {gw_hash_result}<&-
  wait "$gw_hash_pid" || true
}

gw_follow() {
  local file status
  exec {file}<"$part"
  while :; do
    cat <&"$file"
    status=0
    read -r -t 0.05 || status=$?
    [ "$status" -gt 128 ] || break # the time is not up: standard input has ended
  done
  cat <&"$file"
}

gw_start_over() {
  gw_hash_end
  rm -f -- "$part" "$part".[0-9]*
  gw_hash_begin
}

# gw_part_end OFFSET: sets $end, where the part that begins there ends.
gw_part_end() {
  end=$((($1 / step + 1) * step))
  [ "$end" -lt "$bytes" ] || end=$bytes
}

# gw_take OFFSET: appends the part, which is the next one. When the disk is full it ends later, since curl
# would go on and leave what it is writing.
gw_take() {
  if cat -- "$part.$1" >>"$part"; then rm -f -- "$part.$1"; else full=yes; fi
}

# gw_resume: sets $have and $came to what an earlier run or attempt has left. Of parts that broke off,
# the next one is of use, and the others are not.
gw_resume() {
  local file at size end
  have=$(gw_size "$part")
  came=()
  for file in "$part".[0-9]*; do
    [ -e "$file" ] || continue
    at=${"${file##*.}"} size=$(gw_size "$file")
    gw_part_end "$at"
    if [ "$at" -lt "$have" ]; then rm -f -- "$file"; fi
    if [ "$((at + size))" = "$end" ]; then came[at]=$size; fi
  done
  gw_join
  if [ -e "$part.$have" ]; then gw_take "$have"; have=$(gw_size "$part"); fi
  for file in "$part".[0-9]*; do
    at=${"${file##*.}"}
    [ ! -e "$file" ] || [ -n "${"${came[at]-}"}" ] || rm -f -- "$file"
  done
}

# gw_join: appends the parts whose turn it is.
gw_join() {
  local end
  while [ -z "$full" ] && [ -n "${"${came[have]-}"}" ]; do
    gw_part_end "$have"
    [ "$((have + came[have]))" = "$end" ] || return 0
    gw_take "$have"
    [ -z "$full" ] || return 0
    have=$end
  done
}

# The names of files are relative, so that nothing in them needs quoting.
gw_part_requests() {
  local at=$have end
  while [ "$at" -lt "$bytes" ]; do
    gw_part_end "$at"
    [ -n "${"${came[at]-}"}" ] || printf '%s\n' "$request" "range = $at-$((end - 1))" "max-filesize = $((end - at))" \
      "output = $digest.part.$at" 'write-out = "%{stderr}%{http_code} '"$at"' %{size_download}\n"' silent show-error fail retry=2 http1.1 connect-timeout=10 \
      speed-limit=1024 speed-time=30 'proto = "=http,https"' next
    at=$end
  done
}

# gw_fetch_parts: fetches what is missing over several connections; sets $status, $http and $message.
# What curl has to say comes through standard error, which it does not hold back in a buffer.
gw_fetch_parts() {
  local code at size
  http=206 status=0 message=''
  while read -r code at size; do
    case "$code" in [0-9]*) gw_fetched=$((gw_fetched + size)) ;; esac
    case "$code" in
    206) came[at]=$size; gw_join ;;
    200) http=whole ;;
    [0-9]*) [ "$http" != 206 ] || http=$code ;;
    ended) status=$at ;;
    *) message="$code $at $size" ;;
    esac
  done < <(cd "$cache" && gw_part_requests | sed '$d' |
    curl --no-progress-meter --fail-early --parallel --parallel-immediate \
      --parallel-max ${String(partsAtOnce)} --config - 2>&1 ||
    echo "ended $?")
}

gw_fetch_rest() {
  local size
  status=0
  http=$(curl --silent --show-error --fail --connect-timeout 10 --speed-limit 1024 --speed-time 30 \
    --max-filesize "$bytes" --proto '=http,https' --continue-at "$have" --output "$part" \
    --write-out '%{http_code} %{size_download}' --config - <<<"$request" 2>"$part.err") || status=$?
  size=${"${http#* }"} http=${"${http% *}"}
  gw_fetched=$((gw_fetched + ${"${size:-0}"}))
  message=$(tail -c 400 "$part.err" | tr '\n' ' ')
  rm -f "$part.err"
}

gw_fetch() {
  local have before received stalled=0 tries=0 status http free message in_one=''
  local -a came=() # by offset: bytes of the parts that wait for their turn
  local step=${String(partBytes)}
  while [ $((bytes / step)) -gt ${String(mostParts)} ]; do step=$((step * 2)); done
  free=$(df --output=avail -B1 -- "$cache" | tail -n 1)
  received=$(gw_received)
  [ $((bytes - received)) -le "$free" ] || gw_fail cache-disk-full "$free bytes are free of $((bytes - received))"
  gw_fetch_progress {gw_fd}>&- &
  gw_background+=($!)
  rm -f "$part.err"
  gw_hash_begin
  while :; do
    gw_resume
    gw_refuse_full
    [ "$have" -le "$bytes" ] || { gw_start_over; have=0; }
    [ "$have" -lt "$bytes" ] || { gw_hash_end; return 0; }
    received=$(gw_received)
    [ "$tries" -eq 0 ] || [ "$received" -gt "$before" ] || stalled=$((stalled + 1))
    [ "$stalled" -le 4 ] && [ "$tries" -le 40 ] || gw_fail fetch-failed "$message"
    [ "$tries" -eq 0 ] || sleep $((1 << (stalled < 3 ? stalled : 3)))
    before=$received tries=$((tries + 1))
    if [ -z "$in_one" ] && [ $((bytes - have)) -ge ${String(partsFromBytes)} ]; then gw_fetch_parts; else gw_fetch_rest; fi
    gw_refuse_full
    message="curl ended with $status, HTTP $http: $message"
    case "$status:$http" in
    *:whole | *:416 | 33:*) in_one=yes; gw_start_over ;; # the server knows no ranges
    2:*) # a curl from before 7.68
      [ -z "$in_one" ] || gw_fail fetch-failed "$message"
      in_one=yes
      ;;
    0:*) message="the object ended early" ;;
    *:412) gw_discard; gw_fail image-changed "$http" ;;
    *:404) gw_discard; gw_fail image-missing "$http" ;;
    *:401 | *:403) gw_fail image-forbidden "$http" ;;
    *:408 | *:429 | *:5??) ;;
    18:* | 28:* | 52:* | 55:* | 56:* | 92:*) ;;
    7:*) [ "$have" -gt 0 ] || gw_fail fetch-failed "$message" ;;
    23:*) gw_discard; gw_fail cache-disk-full "$message" ;;
    *) gw_fail fetch-failed "$message" ;;
    esac
  done
}

gw_refuse_full() { [ -z "$full" ] || { gw_discard; gw_fail cache-disk-full "$part"; }; }

gw_discard() { rm -f -- "$part" "$part".[0-9]* "$part.err"; }
`.trim();

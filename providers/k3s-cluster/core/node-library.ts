/**
 * Functions of the script that makes a node what it shall be (see node-script.ts).
 *
 * Files are written beside their place and moved there, so that an interruption leaves the old or the
 * new one. A mark beside each artifact holds what was wanted and what the file looked like when its
 * digest was right, so that it is hashed once. URLs are given to curl on its standard input.
 *
 * Marks outlive a run that could not go on: `pending`, that a file changed with which k3s was not started
 * yet; `restart`, that these are tokens; `restoring`, that what is in etcd's folder is not whole;
 * `certificates`, of which generation they are.
 */
export const nodeLibrary = String.raw`set -euo pipefail
umask 022
say() { printf 'groundwork-say %s\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }
own=/var/lib/groundwork/k3s
mkdir -p "$own"
changed=no
case $(uname -m) in
  x86_64) arch=amd64 suffix= ;;
  aarch64) arch=arm64 suffix=-arm64 ;;
  *) fail "k3s has no release for $(uname -m)" ;;
esac

change() { # before the change itself
  touch "$own/pending"
  changed=yes
}

put() {
  mkdir -p "$(dirname "$1")"
  (umask 077; base64 -d <<<"$3" >"$1.new")
  chmod "$2" "$1.new"
  if cmp -s "$1.new" "$1"; then
    rm -f "$1.new"
    chmod "$2" "$1"
  else
    change
    mv -f "$1.new" "$1"
  fi
}

drop() {
  [ -e "$1" ] || return 0
  change
  rm -f -- "$1"
}

digest_of() { sha256sum -- "$1" | cut -d ' ' -f 1; }
looks() { stat -c '%s %Y %i' "$1"; }
is_marked() { [ -f "$2" ] && [ "$(cat "$own/$1.mark" 2>/dev/null)" = "$3 $(looks "$2")" ]; }
mark() { printf '%s %s\n' "$3" "$(looks "$2")" >"$own/$1.mark"; }

fetch() {
  command -v curl >/dev/null || fail "curl is not in this machine, and $3 has to be fetched"
  printf 'url = "%s"\n' "$1" |
    curl --fail --silent --show-error --location --retry 5 --retry-connrefused --retry-delay 1 \
      --connect-timeout 15 --speed-limit 1024 --speed-time 30 --output "$2" --config - ||
    fail "cannot fetch $3"
}

hold_against() {
  [ "$2" = "$3" ] || fail "$1 has the digest $2, and $3 is expected"
}

expected_digest() {
  if [ "$1" = pinned ]; then
    echo "$2"
    return
  fi
  fetch "$2" "$own/sums.part" "the list of checksums"
  local sum
  sum=$(awk -v name="$3" '$2 == name || $2 == "*" name { print $1; exit }' "$own/sums.part")
  [[ $sum =~ ^[0-9a-f]{64}$ ]] || fail "the list of checksums does not name $3"
  echo "$sum"
}

from_image() {
  local source=$1 name=$2 title=$3 target=$4 mode=$5 want=$6
  is_marked "$name" "$target" "$want" && return
  [ -f "$source" ] || fail "$title is not in this machine's image: there is no $source"
  hold_against "$title at $source" "$(digest_of "$source")" "$8"
  if [ "$source" != "$target" ] && ! cmp -s "$source" "$target"; then
    mkdir -p "$(dirname "$target")"
    install -m "$mode" -- "$source" "$target.part"
    change
    mv -f -- "$target.part" "$target"
  fi
  mark "$name" "$target" "$want"
  say "$title is that of the image, its digest is right"
}

from_url() {
  local url=$1 name=$2 title=$3 target=$4 mode=$5 want=$6 expected
  is_marked "$name" "$target" "$want" && return
  "${"$"}{network[@]}" | while IFS= read -r line; do say "$line"; done ||
    fail "the network is not what fetching $title takes"
  expected=$(expected_digest "$7" "$8" "$9")
  if [ ! -f "$target" ] || [ "$(digest_of "$target")" != "$expected" ]; then
    mkdir -p "$(dirname "$target")"
    fetch "$url" "$target.part" "$title"
    hold_against "$title as it came" "$(digest_of "$target.part")" "$expected"
    chmod "$mode" "$target.part"
    change
    mv -f -- "$target.part" "$target"
    say "$title has come, its digest is right"
  fi
  mark "$name" "$target" "$want"
}

keep_token() {
  local digest
  [ -s "$1" ] || return 0
  digest=$(digest_of "$1")
  [ "$digest" != "$3" ] || return 0
  mkdir -p -m 0700 "$2"
  install -m 0600 -- "$1" "$2/$digest"
}

restore_once() {
  local db=/var/lib/rancher/k3s/server/db log=$own/reset.log
  discard_restoring
  [ ! -e "$db/etcd" ] || return 0
  touch "$own/restoring"
  rm -f "$db/reset-flag"
  if ! /usr/local/bin/k3s server --cluster-reset "--cluster-reset-restore-path=$1" >"$log" 2>&1 </dev/null; then
    fail "$(tail -n 5 "$log")"
  fi
  rm -f "$own/restoring"
  say "it has the content of snapshot $1"
}

discard_restoring() {
  [ -e "$own/restoring" ] || return 0
  rm -rf /var/lib/rancher/k3s/server/db/etcd
  rm -f "$own/restoring"
}

renew_certificates() { # those that k3s made for itself, in its own time as it starts
  local have=0
  [ ! -s "$own/certificates" ] || have=$(cat "$own/certificates")
  if [ -e "$own/joined" ] && [ "$have" != "$2" ]; then
    change
    systemctl stop "$1"
    /usr/local/bin/k3s certificate rotate >"$own/certificates.log" 2>&1 </dev/null ||
      fail "$(tail -n 5 "$own/certificates.log")"
    say "its certificates are made anew"
  fi
  echo "$2" >"$own/certificates"
}

run_unit() {
  systemctl daemon-reload
  systemctl enable --quiet "$1"
  touch "$own/joined"
  case $(systemctl is-active "$1") in
    active | activating | reloading)
      if [ ! -e "$own/pending" ] && [ ! -e "$own/restart" ]; then
        echo 'groundwork-result same'
      else
        systemctl restart --no-block "$1"
        echo 'groundwork-result restarted'
      fi
      ;;
    *)
      systemctl start --no-block "$1"
      echo 'groundwork-result started'
      ;;
  esac
  rm -f "$own/pending" "$own/restart" "$own/rejoining"
}`;

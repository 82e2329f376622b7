/** Where the script below is in a node. */
export const networkWaitPath = "/usr/local/lib/groundwork/wait-for-network";

/** How long it waits in all. */
export const networkWaitSeconds = 120;

/**
 * Waits until an interface has the address, a default route is there where one is expected, and every
 * name resolves; says each on the console as it comes, and what is missing when it gives up. Without
 * this, k3s may make certificates for, and listen on, the wrong address.
 *
 * `wait-for-network ADDRESS SECONDS ROUTE(yes|no) [NAME…]`
 */
export function renderNetworkWait(): string {
  return `#!/bin/sh
# ${networkWaitPath} ADDRESS SECONDS ROUTE(yes|no) [NAME...]: written by Groundwork.
address=$1 limit=$2 route=$3
shift 3
now() { cut -d. -f1 /proc/uptime; }
started=$(now)
say() {
  echo "network: $*"
  { echo "groundwork: network: $*" >/dev/console; } 2>/dev/null || true
}
await() {
  what=$1
  shift
  until "$@" >/dev/null 2>&1; do
    if [ $(($(now) - started)) -ge "$limit" ]; then
      say "gave up after $limit s: $what is missing"
      ip -4 -br address
      ip -4 route
      exit 1
    fi
    sleep 1
  done
  say "$what is there after $(($(now) - started)) s"
}
has_address() { ip -4 -o address show up to "$address/32" | grep -q .; }
has_route() { ip -4 route show default | grep -q .; }
await "an interface with $address" has_address
[ "$route" = no ] || await "a default route" has_route
for name in "$@"; do await "the address of $name" getent ahostsv4 "$name"; done
`;
}

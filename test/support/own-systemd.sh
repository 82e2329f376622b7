#!/bin/bash
# Makes systemd the first process of new namespaces (see own-systemd.ts): own-systemd.sh FOLDER CGROUP, which runs
# itself once more inside. It has no unit but a few targets; what is installed there is gone with it.
set -euo pipefail
folder=$1 cgroup=$2

if [ "${3-}" != inside ]; then
  mkdir -p "$cgroup"
  echo $$ >"$cgroup/cgroup.procs"
  exec unshare --cgroup --pid --mount --uts --ipc --fork --kill-child --propagation private \
    bash "${BASH_SOURCE[0]}" "$folder" "$cgroup" inside
fi

mkdir -p "$folder/units" "$folder/empty"
for name in default timers sysinit basic shutdown sockets; do
  printf '[Unit]\nDefaultDependencies=no\n' >"$folder/units/$name.target"
done
printf 'Wants=timers.target\n' >>"$folder/units/default.target"
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mount --bind "$folder/units" /usr/lib/systemd/system
mount --bind "$folder/empty" /usr/lib/systemd/system-generators
mount -t tmpfs -o mode=755 tmpfs /etc/systemd/system
mount -t tmpfs -o mode=755 tmpfs /var/lib/systemd # when timers were last due is of no other boot
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec env -i container=groundwork PATH="$PATH" \
  /lib/systemd/systemd --system --log-target=console --show-status=0

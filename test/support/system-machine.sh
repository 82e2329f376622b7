#!/bin/bash
# Boots a machine of namespaces (see system-machine.ts): systemd as its first process, and sshd.
# What it writes goes to its own layers; the rest of this machine is read-only to it.
#
# system-machine.sh FOLDER NAME ADDRESS LAN CGROUP, which runs itself once more for each of its steps.
set -euo pipefail
folder=$1 name=$2 address=$3 lan=$4 cgroup=$5 step=${6:-placed}
next() { exec unshare "$@" bash "${BASH_SOURCE[0]}" "$folder" "$name" "$address" "$lan" "$cgroup" "$step"; }

case $step in
  placed)
    mkdir -p "$cgroup"
    echo $$ >"$cgroup/cgroup.procs"
    step=cabled
    next --net
    ;;
  cabled)
    # The kernel takes its time with the link of a machine that was ended, and others know its address.
    nsenter --net="$lan" ip link delete "$name" 2>/dev/null || true
    IFS=. read -r -a bytes <<<"$address"
    nsenter --net="$lan" ip link add "$name" type veth \
      peer name lan address "$(printf '02:00:%02x:%02x:%02x:%02x' "${bytes[@]}")" netns $$
    nsenter --net="$lan" ip link set "$name" master lan up
    ip link set lo up
    ip address add "$address/24" dev lan
    ip link set lan up
    step=booted
    next --cgroup --pid --mount --uts --ipc --fork --kill-child --propagation private
    ;;
esac

layer() { # PATH: this machine's folder, on which changes lie in memory
  mkdir -p "$folder/layers$1/up" "$folder/layers$1/work"
  [ ! -d "$folder/own$1" ] || cp -a "$folder/own$1/." "$folder/layers$1/up"
  mount -t overlay overlay -o "lowerdir=$1,upperdir=$folder/layers$1/up,workdir=$folder/layers$1/work" "$1"
}

hostname "$name"
mkdir -p "$folder"/{layers,dev,units,empty,tunables,disk/lib,disk/log}
mount -t tmpfs tmpfs "$folder/layers"
layer /etc
layer /usr/local
mount --bind "$folder/disk/lib" /var/lib
mount --bind "$folder/disk/log" /var/log
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/sshd

# No unit of this machine runs there but the journal's: others would tidy what is not theirs.
cp /usr/lib/systemd/system/systemd-journald{.service,.socket,-dev-log.socket} "$folder/units"
mount --bind "$folder/units" /usr/lib/systemd/system
mount --bind "$folder/empty" /usr/lib/systemd/system-generators
mount -t tmpfs tmpfs /etc/systemd/system

# What the kubelet wants of the kernel looks set already, for the kernel is not the machine's own.
mount -t proc proc /proc
for each in vm.overcommit_memory=1 vm.panic_on_oom=0 kernel.panic=10 kernel.panic_on_oops=1 \
  kernel.keys.root_maxkeys=1000000 kernel.keys.root_maxbytes=25000000; do
  file=/proc/sys/$(tr . / <<<"${each%=*}")
  [ -e "$file" ] || continue
  echo "${each#*=}" >"$folder/tunables/${each%=*}"
  mount --bind "$folder/tunables/${each%=*}" "$file"
done

mount -t tmpfs -o mode=755 tmpfs "$folder/dev"
for each in null zero full random urandom tty kmsg; do
  touch "$folder/dev/$each"
  mount --bind "/dev/$each" "$folder/dev/$each"
done
touch "$folder/dev/console"
mount --bind /dev/null "$folder/dev/console"
mkdir "$folder/dev/pts" "$folder/dev/shm"
ln -s pts/ptmx "$folder/dev/ptmx"
ln -s /proc/self/fd "$folder/dev/fd"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$folder/dev/pts"
mount --move "$folder/dev" /dev

umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -o remount,bind,ro /
exec env -i container=groundwork PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  /usr/lib/systemd/systemd --log-target=journal --show-status=0

/** The configuration of our own libvirt, by path below /etc/libvirt. */
export const libvirtFiles: Readonly<Record<string, string>> = {
  "qemu.conf": [
    "# Guests run as root, without confinement by modules that this machine may not have.",
    'user = "root"',
    'group = "root"',
    'security_driver = "none"',
    "cgroup_controllers = []",
    "namespaces = []",
    "remember_owner = 0",
    "",
  ].join("\n"),
  "libvirtd.conf": [
    "# Reached by root alone, through the socket's permissions; there is no polkit to ask.",
    'unix_sock_group = "root"',
    'unix_sock_ro_perms = "0700"',
    'unix_sock_rw_perms = "0700"',
    'auth_unix_ro = "none"',
    'auth_unix_rw = "none"',
    "",
  ].join("\n"),
  "virtlogd.conf": "",
  "libvirt.conf": "",
  "qemu/networks/default.xml": [
    "<network>",
    "  <name>default</name>",
    "  <forward mode='nat'/>",
    "  <bridge name='virbr0' stp='on' delay='0'/>",
    "  <ip address='192.168.122.1' netmask='255.255.255.0'>",
    "    <dhcp>",
    "      <range start='192.168.122.2' end='192.168.122.254'/>",
    "    </dhcp>",
    "  </ip>",
    "</network>",
    "",
  ].join("\n"),
};

/**
 * Starts a daemon where it sees our folders in place of the machine's own, and nothing of that shows
 * outside. Arguments: the five folders, then the command. Mounts of the machine still reach it; its
 * own reach nobody. The system bus is hidden, so that it does not speak to the machine's firewalld,
 * polkit or machined, which know nothing of its network namespace.
 */
export const launcher = String.raw`
set -euo pipefail
etc=$1 lib=$2 cache=$3 log=$4 run=$5; shift 5
mount --bind "$etc" /etc/libvirt
mount --bind "$lib" /var/lib/libvirt
mount --bind "$cache" /var/cache/libvirt
mount --bind "$log" /var/log/libvirt
mount --bind "$run" /run/libvirt
ip link set lo up # VNC screens listen on it
[ ! -d /run/dbus ] || mount -t tmpfs -o mode=0755 none /run/dbus
exec "$@"
`.trim();

/** The machine's folders over which ours are laid; they must exist. */
export const shadowedFolders = [
  "/etc/libvirt",
  "/var/lib/libvirt",
  "/var/cache/libvirt",
  "/var/log/libvirt",
  "/run/libvirt",
] as const;

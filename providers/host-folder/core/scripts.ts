import { quote, quoteAll } from "../../host/core/script.ts";

export interface Folder {
  path: string;
  subfolders: readonly string[];
  /** `<project>/<stack>`. */
  owner: string;
}

/** Names the owner, in a file of this name in the folder. */
const marker = ".groundwork";

/** What the scripts print, having changed nothing, where the folder is someone else's. */
export const foreign = "foreign";

const ownFolder = ({ path, owner }: Folder): string =>
  `[ "$(cat ${quote(`${path}/${marker}`)} 2>/dev/null)" = ${quote(owner)} ]`;

/** Makes the folder, or completes it; refuses one that has something in it and is not the owner's. */
export function renderEnsure(folder: Folder): string {
  const folders = folder.subfolders.map((name) => `${folder.path}/${name}`);
  return [
    "set -eu",
    `if [ -n "$(ls -A ${quote(folder.path)} 2>/dev/null)" ] && ! ${ownFolder(folder)}; then echo ${foreign}; exit 0; fi`,
    "umask 022",
    `mkdir -p -- ${quoteAll([folder.path, ...folders])}`,
    `chmod 0711 -- ${quoteAll(folders)}`,
    // The seeds in it hold secrets. QEMU, which is a user of its own on most hosts, may pass through.
    "group=$(id -gn libvirt-qemu 2>/dev/null || id -gn qemu 2>/dev/null || true)",
    `if [ -n "$group" ]; then chgrp -- "$group" ${quote(folder.path)}; chmod 0710 -- ${quote(folder.path)}`,
    `else chmod 0711 -- ${quote(folder.path)}; fi`,
    `printf '%s\\n' ${quote(folder.owner)} >${quote(`${folder.path}/${marker}`)}`,
  ].join("\n");
}

/** Prints `present`, `absent`, or that it is foreign. */
export function renderProbe(folder: Folder): string {
  const folders = folder.subfolders.map((name) => `-d ${quote(`${folder.path}/${name}`)}`);
  return [
    `if [ -d ${quote(folder.path)} ] && ! ${ownFolder(folder)}; then echo ${foreign}`,
    `elif [ ${["-d " + quote(folder.path), ...folders].join(" ] && [ ")} ]; then echo present`,
    "else echo absent; fi",
  ].join("\n");
}

/**
 * Removes the owner's domains that are still defined, then the folder, then the folders above it
 * that are empty and bear our names. Does nothing where the folder is gone.
 *
 * @param uri libvirt's URI as seen from the hypervisor itself.
 */
export function renderRemove(folder: Folder, uri: string): string {
  const virsh = `timeout 60 virsh -q -c ${quote(uri)}`;
  return [
    "set -eu",
    `[ -e ${quote(folder.path)} ] || exit 0`,
    `${ownFolder(folder)} || { echo ${foreign}; exit 0; }`,
    `domains=$(${virsh} list --all --uuid)`, // fails where libvirt does not answer
    "for domain in $domains; do",
    `  ${virsh} dumpxml "$domain" | grep -qF -e ${quote(`owner="${folder.owner}"`)} -e ${quote(`owner='${folder.owner}'`)} || continue`,
    `  ${virsh} destroy "$domain" 2>/dev/null || true`,
    `  ${virsh} undefine "$domain" --nvram --managed-save --snapshots-metadata`,
    "done",
    `rm -rf --one-file-system -- ${quote(folder.path)}`,
    `above=$(dirname ${quote(folder.path)})`,
    "while case ${above##*/} in pools | groundwork) true ;; *) false ;; esac; do",
    '  rmdir -- "$above" 2>/dev/null || break',
    '  above=$(dirname "$above")',
    "done",
  ].join("\n");
}

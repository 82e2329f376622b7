import { quote, quoteAll } from "../../host/core/script.ts";
import { escapeXml } from "../../host/core/xml.ts";

export interface Folder {
  path: string;
  subfolders: readonly string[];
  /** `<project>/<stack>`. */
  owner: string;
  /** The stack's name for the host; earlier versions did not know it. */
  hypervisor?: string | undefined;
}

/** Names owner and hypervisor, each in a line, in a file of this name in the folder. */
const marker = ".groundwork";

/** What the scripts print, having changed nothing, where the folder is someone else's. */
export const foreign = "foreign";

const linesOf = ({ owner, hypervisor }: Folder): string[] => [
  owner,
  ...(hypervisor === undefined ? [] : [hypervisor]),
];

/** A folder without the hypervisor's name is of an earlier version. */
function ownFolder(folder: Folder): string {
  const marks = new Set([folder.owner, linesOf(folder).join("\n")]);
  const mark = `"$(cat ${quote(`${folder.path}/${marker}`)} 2>/dev/null)"`;
  return `case ${mark} in ${[...marks].map(quote).join(" | ")}) true ;; *) false ;; esac`;
}

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
    `printf '%s\\n' ${quoteAll(linesOf(folder))} >${quote(`${folder.path}/${marker}`)}`,
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
 * Removes the owner's domains that are still defined and log into this folder, then the folder, then
 * the folders above it that are empty and bear our names. Does nothing where the folder is gone.
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
    `  xml=$(${virsh} dumpxml "$domain") || continue`,
    `  grep -qF -e ${quote(`owner="${folder.owner}"`)} -e ${quote(`owner='${folder.owner}'`)} <<<"$xml" || continue`,
    // The stack may have other folders on this host, with machines that run.
    `  grep -qF ${quote(`<log file='${escapeXml(folder.path)}/logs/`)} <<<"$xml" || continue`,
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

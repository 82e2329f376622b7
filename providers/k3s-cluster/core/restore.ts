import { quote } from "../../host/core/script.ts";
import { configFile, k3sBinary, tokenFile } from "./node-files.ts";
import { nodeLibrary } from "./node-library.ts";
import { snapshotStoreFile } from "./snapshots.ts";
import { oldTokens, rotateFunction } from "./tokens.ts";

/** A snapshot of etcd: on a server's disk, or in the object store. */
export interface EtcdSnapshot {
  name: string;
  place: "disk" | "store";
  sizeBytes: number;
  /** When it was taken, in seconds since 1970: k3s puts that at the end of the name. */
  takenSeconds: number;
}

const mark = "groundwork-snapshot ";
const folder = "/var/lib/rancher/k3s/server/db";
/** On a server that joins what was restored: its own data lie aside, and what it has now is not its own. */
const rejoinMark = "/var/lib/groundwork/k3s/rejoining";

/**
 * Lists what a server can be restored from, whether k3s runs or not: k3s's own list needs a server
 * that runs. The store's key goes to curl on its standard input.
 */
export const listSnapshotsScript = String.raw`set -euo pipefail
shopt -s nullglob
[ -s ${configFile} ] || { echo 'k3s was never set up on this machine' >&2; exit 1; }
for file in ${folder}/snapshots/*; do
  [ ! -f "$file" ] || printf '${mark}disk %s %s\n' "$(stat -c %s "$file")" "$(basename "$file")"
done
[ -s ${snapshotStoreFile} ] || exit 0
value() { sed -n "s/^etcd-s3$1: *//p" ${snapshotStoreFile} | sed 's/^"//; s/"$//' ; }
scheme=https
[ "$(value -insecure)" != true ] || scheme=http
folder=$(value -folder)
printf 'user = "%s:%s"\n' "$(value -access-key)" "$(value -secret-key)" |
  curl --silent --show-error --fail --max-time 60 --config - --aws-sigv4 "aws:amz:$(value -region):s3" \
    "$scheme://$(value -endpoint)/$(value -bucket)?list-type=2&prefix=${"$"}{folder//\//%2F}%2F" |
  sed 's/<Contents>/\n&/g' |
  sed -n 's/^<Contents><Key>\([^<]*\)<.*<Size>\([0-9]*\)<.*/\2 \1/p' |
  while read -r size key || [ -n "$key" ]; do # the last line may have no end
    name=${"$"}{key#"$folder/"}
    [[ $name == */* ]] || printf '${mark}store %s %s\n' "$size" "$name"
  done`;

/** Reads what `listSnapshotsScript` printed; names that are not k3s's are left out. */
export function parseSnapshots(output: string): EtcdSnapshot[] {
  return output.split("\n").flatMap((line) => {
    const match = line.startsWith(mark)
      ? /^(disk|store) (\d+) ([A-Za-z0-9._-]+-(\d{9,11})(?:\.zip)?)$/.exec(line.slice(mark.length))
      : null;
    if (match === null) return [];
    const [, place, size, name = "", taken] = match;
    return [
      {
        ...{ name, place: place === "disk" ? ("disk" as const) : ("store" as const) },
        ...{ sizeBytes: Number(size), takenSeconds: Number(taken) },
      },
    ];
  });
}

/** Stops k3s on a server; its pods go on running. */
export const stopScript = "systemctl stop k3s";

/** Rewrites how a server finds its cluster, as `renderConfig` would. */
const founds = `sed -i '/^server:/d' ${configFile}
grep -q '^cluster-init:' ${configFile} || echo 'cluster-init: true' >>${configFile}`;
const joins = (url: string): string => `sed -i '/^server:/d; /^cluster-init:/d' ${configFile}
echo ${quote(`server: "${url}"`)} >>${configFile}`;

/**
 * Makes a server, which must be stopped, the only member of its cluster with a snapshot's content. The
 * token of that time opens it; the present one is put aside for `retakeScript`, and taken back first where
 * a run that broke off has left it there.
 */
export function renderReset({ name, place, takenSeconds }: EtcdSnapshot): string {
  const source =
    place === "disk"
      ? ["--etcd-s3=false", `--cluster-reset-restore-path=${folder}/snapshots/${name}`]
      : [`--cluster-reset-restore-path=${name}`];
  return String.raw`${nodeLibrary}
[ ! -e "$own/present-token" ] || mv -f "$own/present-token" ${tokenFile}
for each in $(ls -tr ${oldTokens} 2>/dev/null); do # the first that ceased to be the cluster's after it
  if [ "$(stat -c %Y "${oldTokens}/$each")" -gt ${String(takenSeconds)} ]; then
    install -m 0600 ${tokenFile} "$own/present-token"
    install -m 0600 "${oldTokens}/$each" ${tokenFile}
    say "the token of that time is used"
    break
  fi
done
${founds}
rm -f ${folder}/reset-flag
log=$own/reset.log
if ! ${k3sBinary} server --cluster-reset ${source.map(quote).join(" ")} >"$log" 2>&1 </dev/null; then
  tail -n 5 "$log" >&2
  exit 1
fi`;
}

/** Has a server that runs with the token of a snapshot's time take the present one again. */
export const retakeScript = String.raw`${nodeLibrary}
[ -e "$own/present-token" ] || exit 0
${rotateFunction}
rotate_token "$(cat "$own/present-token")"
mv -f "$own/present-token" ${tokenFile}
systemctl restart k3s
say "the present token is the cluster's again"`;

/**
 * Sets a stopped server's own data aside, so that it joins what was restored on another one; what it has
 * from a run that broke off is not its own.
 */
export function renderRejoin(url: string): string {
  return `set -e
${joins(url)}
if [ -e ${rejoinMark} ]; then
  rm -rf ${folder}/etcd
elif [ -e ${folder}/etcd ]; then
  rm -rf ${folder}/etcd-before-restore
  mv ${folder}/etcd ${folder}/etcd-before-restore
fi
mkdir -p ${rejoinMark.slice(0, rejoinMark.lastIndexOf("/"))}
touch ${rejoinMark}
rm -rf ${folder}/etcd-tmp ${folder}/reset-flag
systemctl start --no-block k3s`;
}

/** Says on a server which has joined that what it has is its own again. */
export const joinedScript = `rm -f ${rejoinMark}`;

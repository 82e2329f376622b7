import { quote } from "../../host/core/script.ts";
import type { VolumeGroupCommands } from "../../volume-group/core/commands.ts";
import { stoppedPrefix } from "./layout.ts";

/**
 * Stopping and starting the domains that use a volume. They are found by the device that they have
 * open and named by the UUID on their command line: a name may look like another domain's number.
 */
export const domainLibrary = String.raw`
gw_virsh() { virsh -q -c "$libvirt_uri" "$@"; }

# gw_users_domains DEVICE: sets uuids to those of the domains that have it open; fails for anybody else,
# and for a domain that is nowhere written down, which could not be started again.
gw_users_domains() {
  local pid command domain uuid persistent
  uuids=() persistent=$(gw_virsh list --all --uuid --persistent)
  while IFS=$'\t' read -r pid command domain; do
    uuid=$(tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -x -A 1 -e -uuid | tail -n 1 || true)
    [[ "$uuid" =~ ^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$ ]] ||
      gw_fail volume-in-use "process $pid ($command)"
    grep -qx "$uuid" <<<"$persistent" ||
      gw_fail volume-in-use "domain \"$domain\", which is transient and could not be started again,"
    uuids+=("$uuid")
  done < <(gw_users "$1")
}

# gw_stop_domains SECONDS UUID...: asks each to shut down, and switches off what has not in time. A guest
# that has just begun to boot does not hear it, so it is asked again.
gw_stop_domains() {
  local within=$1 began=$SECONDS asked=-10 uuid state running; shift
  while :; do
    running=()
    for uuid in "$@"; do
      state=$(gw_virsh domstate "$uuid")
      case "$state" in
      'shut off' | crashed) continue ;;
      esac
      # A paused guest hears nothing at all.
      if [ $((SECONDS - began)) -ge "$within" ] || [ "$state" = paused ]; then
        gw_virsh destroy "$uuid" >&2
        echo "@value forced $(gw_virsh domname "$uuid")"
      else
        running+=("$uuid")
      fi
    done
    [ "${"${#running[@]}"}" -gt 0 ] || return 0
    if [ $((SECONDS - asked)) -ge 10 ]; then
      asked=$SECONDS
      for uuid in "${"${running[@]}"}"; do gw_virsh shutdown "$uuid" --mode acpi >&2 || true; done
    fi
    echo "@progress stop $((SECONDS - began))"
    sleep 0.5
  done
}

# gw_start_domain UUID: starts it unless it runs; one that has been undefined meanwhile needs nothing.
gw_start_domain() {
  local all
  all=$(gw_virsh list --all --uuid)
  grep -qx "$1" <<<"$all" || return 0
  case "$(gw_virsh domstate "$1")" in
  'shut off' | crashed) gw_virsh start "$1" >&2 ;;
  esac
}
`.trim();

/** A script of its own for `domainLibrary`. @param uri of libvirt, as its own host reaches it */
export function renderDomainScript(uri: string, ...commands: readonly string[]): string {
  const beginning = ["set -euo pipefail", `libvirt_uri=${quote(uri)}`, domainLibrary];
  return [...beginning, ...commands].join("\n");
}

/** Stops the domains that have the volume open; with `startAgain` its tags remember which. */
export function renderStopDomains(
  commands: VolumeGroupCommands,
  id: string,
  step: { timeoutSeconds: number; startAgain: boolean },
): string[] {
  const tag = `"\${uuids[@]/#/--addtag=${stoppedPrefix}}"`;
  return [
    'gw_users_domains "$device"',
    'if [ "${#uuids[@]}" -gt 0 ]; then',
    ...(step.startAgain ? [`  ${commands.lvm("lvchange")} ${tag} ${quote(id)} >&2`] : []),
    `  gw_stop_domains ${String(step.timeoutSeconds)} "\${uuids[@]}"`,
    "fi",
  ];
}

/** Starts the domains that the volume's tags remember, and forgets each one that runs. */
export function renderStartDomains(commands: VolumeGroupCommands, id: string): string[] {
  const tags = commands.lvm("lvs", "--noheadings", "-o", "lv_tags", id);
  return [
    `stopped=$(${tags} | tr -d ' ' | tr , '\\n' | sed -n ${quote(`s/^${stoppedPrefix}//p`)})`,
    "for uuid in $stopped; do",
    '  gw_start_domain "$uuid"',
    `  ${commands.lvm("lvchange")} "--deltag=${stoppedPrefix}$uuid" ${quote(id)} >&2`,
    "done",
  ];
}

import { quote } from "../../host/core/script.ts";
import { consistencyPrefix, heldPrefix } from "../../image-volume/core/snapshot-tags.ts";
import type { VolumeGroupCommands } from "../../volume-group/core/commands.ts";

/**
 * Bash that keeps domains from writing and lets them go on. Who is kept stands in tags of the machine's
 * first volume, for a run that is killed leaves a guest that waits. Needs `domainLibrary`, and `$root`.
 */
export function renderHoldLibrary(commands: VolumeGroupCommands): string {
  return String.raw`
# gw_all_domains DEVICE...: sets all to the UUIDs of the domains that have one of them open.
gw_all_domains() {
  local device uuid
  all=()
  for device in "$@"; do
    [ -n "$(gw_users "$device")" ] || continue # so that libvirt is not asked for nothing
    gw_users_domains "$device"
    for uuid in "${"${uuids[@]}"}"; do
      [[ " ${"${all[*]-}"} " == *" $uuid "* ]] || all+=("$uuid")
    done
  done
}

gw_held() { ${commands.lvm("lvchange")} "--$1tag" "${heldPrefix}$2" "$root" >&2; }

# gw_hold UUID...: keeps those that run from writing, by their agent or else by pausing them; sets how.
gw_hold() {
  local uuid
  for uuid in "$@"; do
    case "$(gw_virsh domstate "$uuid")" in
    running)
      gw_held add "frozen:$uuid"
      if timeout 60 virsh -q -c "$libvirt_uri" domfsfreeze "$uuid" >/dev/null 2>&1; then
        [ "$how" = paused ] || how=frozen
        continue
      fi
      # It may have heard, and answer late.
      timeout 60 virsh -q -c "$libvirt_uri" domfsthaw "$uuid" >/dev/null 2>&1 || true
      gw_held add "paused:$uuid"
      gw_held del "frozen:$uuid"
      gw_virsh suspend "$uuid" >&2
      how=paused
      ;;
    paused) how=paused ;;
    esac
  done
}

# gw_release: lets all go on that the tags name. One whose agent does not answer keeps its tag, for the next
# to try again, and is told of.
gw_release() {
  local tags tag uuid
  tags=$(${commands.lvm("lvs", "--noheadings", "-o", "lv_tags")} "$root" | tr -d ' ' | tr , '\n')
  for tag in $(sed -n 's/^${heldPrefix}//p' <<<"$tags"); do
    uuid=${"${tag#*:}"}
    if grep -qx "$uuid" <<<"$(gw_virsh list --all --uuid)"; then
      case "$tag:$(gw_virsh domstate "$uuid")" in
      frozen:*:running)
        if ! timeout 60 virsh -q -c "$libvirt_uri" domfsthaw "$uuid" >&2; then
          echo "@value frozen $uuid"
          continue
        fi
        ;;
      paused:*:paused) gw_virsh resume "$uuid" >&2 ;;
      esac
    fi
    gw_held del "$tag"
  done
}
`.trim();
}

/** Bash that copies volumes; needs the provider's `scriptLibrary`. */
export const copyLibrary = String.raw`
# gw_copy FROM TO: copies a device onto one that is at least as large; holes stay holes where TO is known
# to read as zeroes.
gw_copy() {
  local target=''
  ! gw_blank "$2" || target=--target-is-zero
  qemu-img convert -p -U -f raw -O raw -n -W -m 8 -T none -t none ${'${target:+"$target"}'} -- "$1" "$2" | gw_convert_progress
  [ -n "$target" ] || gw_zero "$2" "$(blockdev --getsize64 "$1")" "$(blockdev --getsize64 "$2")"
  sync -- "$2"
}
`.trim();

/** The words that mark a snapshot's volume as complete; the shell knows `$how`. */
export function renderMarkWords(state: readonly string[]): string {
  const words = state.flatMap((tag) => ["--addtag", quote(tag)]).join(" ");
  return `${words} --addtag "${consistencyPrefix}$how"`;
}

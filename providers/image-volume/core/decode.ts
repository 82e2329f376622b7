import { quote } from "../../host/core/script.ts";
import { decodedPattern } from "./layout.ts";
import {
  type ImageFile,
  renderFollowed,
  renderInflate,
  renderLimits,
  renderSource,
  renderVerified,
  renderVerify,
} from "./populate.ts";
import { scriptLibrary } from "./script-library.ts";

/** From so many volumes on that want one image at the same time, it is decoded once for all of them. */
export const volumesPerDecode = 3;

/**
 * A script that decodes an image into a sparse raw file in the cache and prints `@value decoded yes`;
 * `no` where that might fill the disk. What a killed run left of such a file goes after a day.
 */
export function renderDecode(file: string, image: ImageFile): string {
  const folder = file.slice(0, file.lastIndexOf("/"));
  return [
    "set -euo pipefail; umask 0027",
    scriptLibrary,
    `decoded=${quote(file)} cache=${quote(folder)}`,
    'mkdir -p -m 0750 -- "$cache"',
    `find "$cache" -maxdepth 1 -name ${quote(decodedPattern(image.digest))} -mmin +1440 -delete`,
    'free=$(df --output=avail -B1 -- "$cache" | tail -n 1)',
    `if [ "$free" -lt ${String(2 * image.virtualBytes)} ]; then echo '@value decoded no'; gw_done=1; exit 0; fi`,
    ...renderSource(image),
    ...renderVerify(image),
    'gw_scratch+=("$decoded.new")',
    // Those who copy still read of the last pieces when this has ended well.
    `gw_undo+=('rm -f -- "$decoded.new.pieces"')`,
    'if [ -n "$inflates" ]; then',
    `  target=new; ${renderInflate(image, '"$decoded.new"')}`,
    "else",
    `  ${renderLimits(image)} qemu-img convert -f qcow2 -O raw -W -m 4 -- "$source" "$decoded.new" || converted=no`,
    "fi",
    ...renderVerified(image),
    ...renderFollowed(image),
    '[ "${converted-}" != no ] || { echo "the image could not be decoded" >&2; exit 1; }',
    'mv -- "$decoded.new" "$decoded"', // for which the volumes wait
    "echo '@value decoded yes'",
    "gw_done=1",
    "",
  ].join("\n");
}

import { quote } from "../../host/core/script.ts";
import type { VolumeGroupCommands } from "../../volume-group/core/commands.ts";
import type { ImageFormat } from "./image-format.ts";
import { corruptSuffix } from "./layout.ts";

/** An image in a host's cache. */
export interface ImageFile {
  digest: string;
  /** The file to read: the cache entry, or a copy of it that decodes faster. */
  entry: string;
  /** The digest of that file's content. */
  contentDigest: string;
  /** Whether the host is to make such a copy once the volume is written. */
  transcode: boolean;
  /** The length of that file. */
  fileBytes: number;
  format: ImageFormat;
  /** The size of the disk in it. */
  virtualBytes: number;
  /** The length of the disk's content where it is packed, which need not be whole sectors. */
  unpackedBytes?: number;
  /** Whether the entry's digest is not known to be right from this very run. */
  verify: boolean;
}

/** What a populate script needs to know of its volume. */
export interface PopulateTarget {
  commands: VolumeGroupCommands;
  volumeGroup: string;
  volumeName: string;
  image?: ImageFile;
}

/**
 * Writes the image onto `$device`. Its holes are left out only where the kernel has just promised that
 * the whole volume reads as zeroes, and then `$target` is not empty; elsewhere zeroes are written there.
 * While it is written, an entry that came from the cache is hashed; when that is wrong, it is set aside.
 */
export function renderPopulate(args: PopulateTarget, id: string): string[] {
  const { image } = args;
  if (image === undefined) throw new Error(`no image to populate ${id} from`);
  const entry = quote(image.entry);
  return [
    `gw_use ${entry}`,
    'gw_refuse_open "$device"',
    args.commands.assertIdle(args.volumeGroup, args.volumeName),
    ...(image.verify
      ? [`exec {sum}< <(gw_digest <${entry})`, "verifier=$!", "gw_background+=($!)"]
      : []),
    "target=''",
    'if gw_blank "$device"; then target=--target-is-zero; fi',
    ...renderWrite(image),
    ...(image.verify
      ? [
          'read -r digest <&"$sum" || true',
          `if [ "$digest" != ${image.contentDigest} ]; then`,
          // A copy is made again from its entry.
          ...(image.contentDigest === image.digest
            ? [
                `  mv -fT -- ${entry} ${quote(`${image.entry}${corruptSuffix}`)}`,
                '  gw_fail cache-entry-corrupt "$digest"',
              ]
            : [`  rm -f -- ${entry}`, '  gw_fail cache-copy-corrupt "$digest"']),
          "fi",
        ]
      : []),
    `[ "\${converted-}" != no ] || vg_fail "${image.format.packing === "none" ? "qemu-img could not convert the image" : "the image could not be unpacked"}"`,
  ];
}

function renderWrite(image: ImageFile): string[] {
  const { entry, virtualBytes, format } = image;
  const { packing, disk } = format;
  if (packing === "none") return [renderConvert(quote(entry), image)];
  const unpack = `gw_unpack ${packing} <${quote(entry)}`;
  if (disk === "raw")
    return [
      `( ${unpack} | gw_write_disk "$device" ${String(image.unpackedBytes ?? virtualBytes)} \${target:+sparse} ) || converted=no`,
    ];
  // qemu-img goes back and forth in a qcow2. Its tables add less than a sixteenth.
  const limit = virtualBytes + Math.ceil(virtualBytes / 16) + 2 ** 26;
  return [
    `unpacked=${quote(`${entry.replace(/[^/]*$/, "")}${image.digest}.part.unpacked`)}.$$`,
    'gw_scratch+=("$unpacked")',
    `( ${unpack} | head -c ${String(limit)} >"$unpacked" ) || converted=no`,
    `[ "\${converted-}" = no ] || ${renderConvert('"$unpacked"', image)}`,
  ];
}

/** qemu-img is told both formats, so it probes nothing, and is held by limits. */
function renderConvert(file: string, { virtualBytes, format }: ImageFile): string {
  const cpuSeconds = 120 + 60 * Math.ceil(virtualBytes / 2 ** 30);
  return [
    `prlimit --as=${String(4 * 2 ** 30)} --cpu=${String(cpuSeconds)} --core=0 --`,
    `qemu-img convert -p -f ${format.disk} -O raw -n -W -m 4 -t none $target -- ${file} "$device"`,
    "| gw_convert_progress || converted=no",
  ].join(" ");
}

/** Sets `blocks` to how many blocks of a thin pool the image takes, at most; needs `gw_pool` before. */
export function renderCountBlocks({ entry, format, virtualBytes }: ImageFile): string {
  return format.packing === "none"
    ? `blocks=$(gw_blocks ${format.disk} ${quote(entry)})`
    : `blocks=$(((${String(virtualBytes)} + chunk - 1) / chunk))`;
}

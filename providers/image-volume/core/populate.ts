import { quote } from "../../host/core/script.ts";
import type { VolumeGroupCommands } from "../../volume-group/core/commands.ts";
import type { ImageFormat } from "./image-format.ts";
import { followLibrary } from "./follow-library.ts";
import { copyLibrary } from "./copy-library.ts";
import { inflateLibrary } from "./inflate-library.ts";
import { corruptSuffix } from "./layout.ts";
import type { Compression } from "./qcow2.ts";

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
  /** How a qcow2 is compressed that our own decoder reads faster than qemu-img; see `inflatesAs`. */
  inflatable: Compression | false;
  /** The size of the disk in it. */
  virtualBytes: number;
  /** The length of the disk's content where it is packed, which need not be whole sectors. */
  unpackedBytes?: number;
  /** Whether the entry's digest is not known to be right from this very run. */
  verify: boolean;
  /** The disk as a raw file, where several volumes want it at the same time: it is read instead. */
  decoded?: string;
  /** Only while another script of this run fetches the entry, and makes it one once its digest is right. */
  follow?: {
    /** The file into which it is fetched. */
    part: string;
    /** The first bytes that it must have, as they were checked. */
    header: Uint8Array;
  };
}

/** What a populate script needs to know of its volume. */
export interface PopulateTarget {
  commands: VolumeGroupCommands;
  volumeGroup: string;
  volumeName: string;
  image?: ImageFile;
  /** Whether the script itself has made the volume, so that nobody can be using it. */
  isNew: boolean;
}

/**
 * Writes the image onto `$device`. Its holes are left out only where the kernel has just promised that
 * the whole volume reads as zeroes, and then `$target` is not empty; elsewhere zeroes are written there.
 * While it is written, an entry that came from the cache is hashed; when that is wrong, it is set aside.
 */
export function renderPopulate(args: PopulateTarget, id: string): string[] {
  const { image } = args;
  if (image === undefined) throw new Error(`no image to populate ${id} from`);
  return [
    ...renderSource(image),
    ...renderRefuseUsed(args),
    ...renderVerify(image),
    "target=''",
    'if gw_blank "$device"; then target=--target-is-zero; fi',
    ...renderWrite(image),
    ...renderVerified(image),
    ...renderFollowed(image),
    `[ "\${converted-}" != no ] || vg_fail "${image.format.packing === "none" ? "the image could not be decoded" : "the image could not be unpacked"}"`,
  ];
}

/**
 * Sets `$source`, what the image is read from, and keeps that from being evicted; and `$inflates`, whether
 * this host's own decoder reads it.
 */
export function renderSource(image: ImageFile): string[] {
  const { entry, fileBytes, follow, decoded } = image;
  const inflates = image.inflatable
    ? [
        inflateLibrary,
        ...(decoded === undefined ? [] : [copyLibrary]),
        `inflates=''; ! gw_inflates ${image.inflatable} || inflates=yes`,
      ]
    : ["inflates=''"];
  if (follow === undefined)
    return [
      ...inflates,
      `source=${quote(decoded ?? entry)}`,
      ...(decoded === undefined ? ['gw_use "$source"'] : []),
    ];
  const header = Buffer.from(follow.header).toString("hex");
  return [
    ...inflates,
    followLibrary,
    `gw_follow ${quote(follow.part)} ${quote(entry)} ${String(fileBytes)} ${header} "$inflates"`,
  ];
}

/** Waits for a disk that another script is decoding; if that fails, this script is ended. */
export function renderAwaitDecoded({ decoded }: Pick<ImageFile, "decoded">): string[] {
  return decoded === undefined ? [] : [`until [ -f ${quote(decoded)} ]; do sleep 0.02; done`];
}

/** What was written stays unmarked until it is sure that it was the image. */
export function renderFollowed({ entry, follow }: ImageFile): string[] {
  if (follow === undefined) return [];
  return [
    `[ "\${converted-}" != no ] || gw_fail host-changed 'the image could not be written while it is fetched'`,
    `gw_followed ${quote(follow.part)} ${quote(entry)}`,
  ];
}

/** Hashes an entry that came from the cache while it is read … */
export function renderVerify({ entry, verify }: ImageFile): string[] {
  return verify ? [`exec {sum}< <(gw_digest <${quote(entry)})`, "gw_background+=($!)"] : [];
}

/** … and sets it aside if it is not what it was. */
export function renderVerified({ entry, verify, digest, contentDigest }: ImageFile): string[] {
  if (!verify) return [];
  return [
    'read -r digest <&"$sum" || true',
    `if [ "$digest" != ${contentDigest} ]; then`,
    // A copy is made again from its entry.
    ...(contentDigest === digest
      ? [
          `  mv -fT -- ${quote(entry)} ${quote(`${entry}${corruptSuffix}`)}`,
          '  gw_fail cache-entry-corrupt "$digest"',
        ]
      : [`  rm -f -- ${quote(entry)}`, '  gw_fail cache-copy-corrupt "$digest"']),
    "fi",
  ];
}

/** Fails the script while anybody uses the volume. */
export function renderRefuseUsed(args: Omit<PopulateTarget, "image">): string[] {
  if (args.isNew) return [];
  return ['gw_refuse_open "$device"', args.commands.assertIdle(args.volumeGroup, args.volumeName)];
}

function renderWrite(image: ImageFile): string[] {
  const { entry, virtualBytes, format } = image;
  const { packing, disk } = format;
  if (image.decoded !== undefined)
    return [
      // What our own decoder is writing can be copied at once, but it leaves holes out.
      'if [ -n "$inflates" ] && [ -n "$target" ]; then',
      '  gw_copy "$source" "$device" || converted=no',
      "else",
      ...renderAwaitDecoded(image).map((line) => `  ${line}`),
      '  gw_use "$source"',
      `  ${renderConvert('"$source"', image)}`,
      "fi",
    ];
  if (image.inflatable)
    return [
      'if [ -n "$inflates" ]; then',
      `  ${renderInflate(image, '"$device"')}`,
      "else",
      `  ${renderConvert('"$source"', image)}`,
      "fi",
    ];
  if (packing === "none") return [renderConvert('"$source"', image)];
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

/** Writes the image from `$source` to what the shell calls `to`; a failure sets `$converted` to `no`. */
export function renderInflate(image: ImageFile, to: string): string {
  const { entry, fileBytes, follow, inflatable } = image;
  const growing =
    follow === undefined
      ? "''"
      : `${Buffer.from(follow.header).toString("hex")} ${quote(follow.part)} ${quote(entry)}`;
  return `( ${renderOwnLimits(image)} && gw_inflate ${to} ${String(inflatable)} ${String(fileBytes)} ${growing} <"$source" ) || converted=no`;
}

/**
 * qemu-img is told both formats, so it probes nothing, and is held by limits. Of 16 requests at once four
 * are decoded and the others are being written.
 */
function renderConvert(file: string, image: ImageFile): string {
  const format = image.decoded === undefined ? image.format.disk : "raw";
  return [
    ...[renderLimits(image), `qemu-img convert -p -f ${format} -O raw -n -W -m 16 -t none $target`],
    `-- ${file} "$device" | gw_convert_progress || converted=no`,
  ].join(" ");
}

/** What qemu-img may use to decode the image. */
export function renderLimits({ virtualBytes }: ImageFile): string {
  return `prlimit ${limits(virtualBytes)} --`;
}

/** The same for all that a subshell starts. */
function renderOwnLimits({ virtualBytes }: ImageFile): string {
  return `prlimit --pid "$BASHPID" ${limits(virtualBytes)}`;
}

function limits(virtualBytes: number): string {
  const cpuSeconds = 120 + 60 * Math.ceil(virtualBytes / 2 ** 30);
  return `--as=${String(4 * 2 ** 30)} --cpu=${String(cpuSeconds)} --core=0`;
}

/** Sets `blocks` to how many blocks of a thin pool the image takes, at most; needs `gw_chunk` before. */
export function renderCountBlocks({ entry, format, virtualBytes }: ImageFile): string {
  return format.packing === "none"
    ? `blocks=$(gw_blocks ${format.disk} ${quote(entry)})`
    : `blocks=$(((${String(virtualBytes)} + chunk - 1) / chunk))`;
}

import { z } from "zod";
import { type Activation, parseActivation } from "../../volume-group/core/commands.ts";
import { imageError } from "./errors.ts";
import { isDigest, parseEntryName, parseTags, type VolumeMarks } from "./layout.ts";
import { parseRates, type Rate } from "./rates.ts";
import type { ObservedPool } from "./thin.ts";

/** The longest sidecar that is read. */
export const sidecarBytes = 4096;

/**
 * Reads `<object>.sha256`: a digest alone, or one or more `digest  file` lines (GNU or `*binary`)
 * of which the one that names the object counts; any case, any line end.
 *
 * @throws GroundworkError `bad-sidecar`
 */
export function parseSidecar(text: string, objectName: string): string {
  const bad = (seen: string): never => {
    throw imageError("bad-sidecar", `Cannot use the checksum of ${objectName}: ${seen}.`, {
      next: `Publish the output of \`sha256sum\` as ${objectName}.sha256.`,
    });
  };
  if (text.length > sidecarBytes) return bad(`it is longer than ${String(sidecarBytes)} bytes`);
  const lines = text.split(/\r\n|\r|\n/).filter((line) => line.trim() !== "");
  const baseName = objectName.split("/").at(-1) ?? objectName;
  const rows = lines.map((line) => {
    // By hand: a pattern with several runs of spaces takes minutes over a hostile line.
    const text = line.trim();
    const end = text.search(/\s/);
    if (end === -1) return { digest: text.toLowerCase(), file: undefined };
    const file = text.slice(end).trimStart().replace(/^\*/, "");
    return { digest: text.slice(0, end).toLowerCase(), file: file.split("/").at(-1) };
  });
  const named = rows.filter((row) => row.file === baseName);
  const chosen = named.length > 0 ? named : rows;
  const digests = new Set(chosen.map((row) => row.digest));
  const [digest = ""] = digests;
  if (digests.size === 0) return bad("it is empty");
  if (digests.size > 1) return bad(`it holds ${String(digests.size)} different checksums`);
  if (!isDigest(digest)) return bad("it does not begin with 64 hexadecimal digits");
  return digest;
}

/** A process that has a volume open. */
export interface VolumeUser {
  pid: number;
  /** The command's name. */
  command: string;
  /** The libvirt domain, running or paused, when the process is one. */
  domain?: string;
}

export interface ObservedVolume {
  uuid: string;
  sizeBytes: number;
  /** `linear`, `thin`, … */
  segmentType: string;
  /** The thin pool that it is in. */
  pool?: string;
  /** All tags, ours and others'. */
  tags: string[];
  marks: VolumeMarks;
  users: VolumeUser[];
}

/** One look at a hypervisor, shared by all its volumes. */
export interface HostObservation {
  activation: Activation;
  groups: ReadonlyMap<string, { extentBytes: number; freeBytes: number }>;
  /** By `<volume group>/<volume>`. */
  volumes: ReadonlyMap<string, ObservedVolume>;
  /** Thin pools that this host can use: none without device mapper. */
  pools: readonly (ObservedPool & { volumeGroup: string })[];
  /** What the host has measured of earlier steps, by step. */
  rates: ReadonlyMap<string, Rate>;
  /** Length in bytes of each whole entry in the cache, by digest. */
  cache: ReadonlyMap<string, number>;
  /** Length in bytes of the disk in each entry that is a qcow2, by digest. */
  disks: ReadonlyMap<string, number>;
  cacheFreeBytes: number;
}

const bytesText = z
  .string()
  .regex(/^[0-9]{1,15}$/)
  .transform(Number);
/** Empty for what is neither a pool nor in one, and for what is not active. */
const percentText = z
  .string()
  .regex(/^([0-9]{1,3}(\.[0-9]+)?)?$/)
  .transform(Number);
/** How LVM is asked for what `parseProbe` and `parseVolumeReport` read. */
export const reportOptions = ["--reportformat", "json", "--units", "b", "--nosuffix"] as const;
export const volumeColumns =
  "vg_name,lv_name,lv_uuid,lv_size,segtype,lv_tags,pool_lv,data_percent,metadata_percent,zero,lv_health_status";

const groupsReport = z.object({
  report: z.tuple([
    z.object({
      vg: z.array(z.object({ vg_name: z.string(), vg_free: bytesText, vg_extent_size: bytesText })),
    }),
  ]),
});
const volumesReport = z.object({
  report: z.tuple([
    z.object({
      lv: z.array(
        z.object({
          vg_name: z.string(),
          lv_name: z.string(),
          lv_uuid: z.string(),
          lv_size: bytesText,
          segtype: z.string(),
          lv_tags: z.string(),
          pool_lv: z.string(),
          data_percent: percentText,
          metadata_percent: percentText,
          zero: z.string(),
          lv_health_status: z.string(),
        }),
      ),
    }),
  ]),
});

/**
 * Reads what the probe of a host printed (see `renderProbe`).
 * @throws GroundworkError `bad-probe-output`, `host-needs-root`, `host-lacks-tools`
 */
export function parseProbe(printed: string, hostName: string): HostObservation {
  const sections = splitSections(printed);
  const section = (name: string): string => {
    const text = sections.get(name);
    if (text !== undefined) return text;
    throw badProbe(hostName, `the part "${name}" is missing`);
  };
  const lines = (name: string): string[] =>
    section(name)
      .split("\n")
      .filter((line) => line !== "");
  if (section("user").trim() !== "0")
    throw imageError("host-needs-root", `Cannot manage volumes on ${hostName}: LVM needs root.`, {
      next: "Name the user root in the hypervisor's uri, or run Pulumi as root for this machine.",
    });
  const missing = lines("missing");
  if (missing.length > 0)
    throw imageError(
      "host-lacks-tools",
      `Cannot manage volumes on ${hostName}: it lacks ${missing.join(", ")}.`,
      {
        next: "Install lvm2, qemu-utils, curl, util-linux and perl there.",
      },
    );

  const users = new Map<string, VolumeUser[]>();
  for (const line of lines("open")) {
    const [device = "", pid = "", command = "", domain = ""] = line.split("\t");
    if (!/^[0-9]+$/.test(pid)) throw badProbe(hostName, "a process has no id");
    const user = { pid: Number(pid), command, ...(domain !== "" && { domain }) };
    users.set(device, [...(users.get(device) ?? []), user]);
  }
  const devices = new Map(
    lines("devices").map((line): [string, string] => {
      const [device = "", id = ""] = line.split("\t");
      return [id, device];
    }),
  );
  const activation = parseActivation(section("activation"));
  const volumes = new Map<string, ObservedVolume>();
  const pools: HostObservation["pools"][number][] = [];
  for (const row of report(volumesReport, section("volumes"), hostName).report[0].lv) {
    const id = `${row.vg_name}/${row.lv_name}`;
    if (row.segtype === "thin-pool" && activation === "device-mapper")
      pools.push({
        ...{ volumeGroup: row.vg_name, name: row.lv_name, sizeBytes: row.lv_size },
        ...{ dataPercent: row.data_percent, metadataPercent: row.metadata_percent },
        ...{ zeroes: row.zero === "zero" || row.zero === "1", health: row.lv_health_status },
      });
    volumes.set(id, buildVolume(row, users.get(devices.get(id) ?? "none") ?? []));
  }
  const groups = report(groupsReport, section("groups"), hostName).report[0].vg;
  const cacheFree = section("free").trim();
  if (!/^[0-9]{1,18}$/.test(cacheFree)) throw badProbe(hostName, "the free space is not a number");
  return {
    activation,
    groups: new Map(
      groups.map((row) => [
        row.vg_name,
        { extentBytes: row.vg_extent_size, freeBytes: row.vg_free },
      ]),
    ),
    volumes,
    pools,
    rates: parseRates(lines("rates")),
    cache: parseCacheListing(lines("cache")),
    disks: parseDisks(lines("disks")),
    cacheFreeBytes: Number(cacheFree),
  };
}

function buildVolume(
  row: z.infer<typeof volumesReport>["report"][0]["lv"][number],
  users: VolumeUser[],
): ObservedVolume {
  const tags = row.lv_tags.split(",").filter((tag) => tag !== "");
  return {
    uuid: row.lv_uuid,
    sizeBytes: row.lv_size,
    segmentType: row.segtype,
    ...(row.pool_lv !== "" && { pool: row.pool_lv }),
    tags,
    marks: parseTags(tags),
    users,
  };
}

/**
 * Reads what a script says of the volume that it leaves; who uses that is not in it.
 * @throws GroundworkError `bad-probe-output`
 */
export function parseVolumeReport(printed: string, hostName: string): ObservedVolume {
  const [row] = report(volumesReport, printed, hostName).report[0].lv;
  if (row === undefined) throw badProbe(hostName, "the volume is missing in LVM's report");
  return buildVolume(row, []);
}

/**
 * Reads what a script says of a clone that it has just made: device mapper's UUID of it, and its length.
 * @throws GroundworkError `bad-probe-output`
 */
export function parseCloneReport(
  printed: string,
  { pool, addTags: tags }: { pool: string; addTags: readonly string[] },
  hostName: string,
): ObservedVolume {
  const [, id = "", bytes] = /^LVM-\w{32}(\w{32}) ([0-9]+)$/.exec(printed) ?? [];
  if (bytes === undefined) throw badProbe(hostName, "what it says of a clone is not understood");
  const uuid = id.replace(/^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})(.{6})$/, "$1-$2-$3-$4-$5-$6-$7");
  const marks = parseTags(tags);
  const sizeBytes = Number(bytes);
  return { uuid, sizeBytes, segmentType: "thin", pool, tags: [...tags], marks, users: [] };
}

/** Reads lines `name<TAB>bytes`; an entry whose length is not the one its name tells is none. */
function parseCacheListing(lines: readonly string[]): Map<string, number> {
  const entries = new Map<string, number>();
  for (const line of lines) {
    const [name = "", bytes = ""] = line.split("\t");
    const entry = parseEntryName(name);
    if (entry !== undefined && String(entry.bytes) === bytes)
      entries.set(entry.digest, entry.bytes);
  }
  return entries;
}

/** Reads lines `name<TAB>first bytes in hexadecimal`. */
function parseDisks(lines: readonly string[]): Map<string, number> {
  const disks = new Map<string, number>();
  for (const line of lines) {
    const [name = "", header = ""] = line.split("\t");
    const entry = parseEntryName(name);
    // Magic number, version, place and length of the backing file's name, cluster bits, length.
    const [, length] = /^514649fb[0-9a-f]{40}([0-9a-f]{16})$/.exec(header) ?? [];
    const bytes = Number(`0x${length ?? ""}`);
    if (entry !== undefined && Number.isSafeInteger(bytes)) disks.set(entry.digest, bytes);
  }
  return disks;
}

function splitSections(printed: string): Map<string, string> {
  const sections = new Map<string, string>();
  for (const part of printed.split(/^@@/m).slice(1)) {
    const end = part.indexOf("\n");
    sections.set(
      part.slice(0, end === -1 ? undefined : end),
      end === -1 ? "" : part.slice(end + 1),
    );
  }
  return sections;
}

function report<Schema extends z.ZodType>(
  schema: Schema,
  text: string,
  hostName: string,
): z.infer<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw badProbe(hostName, "LVM's report is not JSON");
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw badProbe(
    hostName,
    `LVM's report has another form (${z.prettifyError(result.error).slice(0, 200)})`,
  );
}

function badProbe(hostName: string, seen: string): Error {
  return imageError(
    "bad-probe-output",
    `Cannot understand what ${hostName} says of its volumes: ${seen}.`,
    {
      next: "Check that `bash -c 'lvs --reportformat json'` prints a report there and nothing besides.",
    },
  );
}

/** What a script of ours printed for the program: failures by name, and values. */
export interface ScriptReport {
  failure?: { code: string; detail: string };
  values: ReadonlyMap<string, string>;
}

/** Reads the lines `@fail CODE DETAIL` and `@value NAME VALUE` of a script. */
export function parseScriptReport(printed: string): ScriptReport {
  const [, code, detail = ""] = /^@fail ([a-z-]+) ?(.*)$/m.exec(printed) ?? [];
  const values = [...printed.matchAll(/^@value ([a-z-]+) (.*)$/gm)].map(
    ([, name = "", value = ""]): [string, string] => [name, value],
  );
  return { ...(code !== undefined && { failure: { code, detail } }), values: new Map(values) };
}

/** Reads one line `@progress KIND NUMBER` of a script; `undefined` for any other. */
export function parseProgress(line: string): { kind: string; value: number } | undefined {
  const [, kind, value] = /^@progress ([a-z-]+) ([0-9]+(?:\.[0-9]+)?)$/.exec(line) ?? [];
  return kind === undefined ? undefined : { kind, value: Number(value) };
}

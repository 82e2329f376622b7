import { randomBytes } from "node:crypto";
import { GroundworkError } from "../../errors.ts";
import { isDigest } from "../../image-volume/core/layout.ts";
import { parseProgress } from "../../image-volume/core/parsers.ts";
import {
  forgetObservation,
  observeHost,
  readCacheLayout,
  runScript,
} from "../../image-volume/effects/hosts.ts";
import { readCredentials } from "../../image-volume/effects/object-store.ts";
import { volumeGroupCommands } from "../../volume-group/core/commands.ts";
import type { Hold } from "../../volume-snapshot/core/create-plan.ts";
import type {
  MachineVolumes,
  Snapshot,
  SnapshotPart,
} from "../../volume-snapshot/core/snapshots.ts";
import {
  createSnapshot,
  deleteSnapshot,
  readSnapshots,
} from "../../volume-snapshot/effects/snapshots.ts";
import { planParts, renderBackup } from "../core/backup-script.ts";
import { type Backup, backupImage, backupKey, parseBackups } from "../core/backups.ts";
import { planRetention, type Retention, type RetentionReason } from "../core/retention-plan.ts";
import { type BackupStore, openBackupStore, type StoreLocation } from "./backup-store.ts";

/** Begins the name of the snapshot that a backup is made from, while it is under way; each has its own. */
const temporary = "backup-under-way-";
/** No backup takes longer, so one whose snapshot is older was killed. */
const longestSeconds = 12 * 3600;

export interface BackupOptions {
  store: StoreLocation;
  /** Back up this snapshot; default: one that is taken for it and goes again. */
  snapshot?: string;
  hold: Hold;
  /** Take out what makes the machine that one machine; of the volume that it boots from only. */
  sealed: boolean;
  shutdownTimeoutSeconds: number;
  nowSeconds: number;
  report: (line: string) => void;
}

export interface MadeBackup extends Backup {
  /** SHA-256 of the object. */
  digest: string;
  /** How large a volume must be to be made from it. */
  virtualBytes: number;
}

const openStore = (location: StoreLocation): BackupStore =>
  openBackupStore(location, readCredentials(process.env));

/**
 * Writes a machine's volumes into the object store, each as a compressed qcow2 with its checksum. The
 * machine is at rest only while the snapshot is taken.
 *
 * @throws GroundworkError what `createSnapshot` throws, `upload-failed`, `image-unsealable`,
 *   `object-store-failed`, …
 */
export async function createBackups(
  uri: string,
  machine: MachineVolumes,
  options: BackupOptions,
): Promise<MadeBackup[]> {
  const { nowSeconds, report, sealed } = options;
  const names = machine.volumes.slice(0, sealed ? 1 : undefined);
  for (const { volumeName } of names) backupImage(volumeName, nowSeconds, sealed); // before the work
  const store = openStore(options.store);
  const snapshot = await provideSnapshot(uri, machine, options);
  try {
    const made: MadeBackup[] = [];
    for (const { volumeName } of names) {
      const part = snapshot.parts.find(({ marks }) => marks.origin === volumeName);
      if (part !== undefined)
        made.push(await backUp(uri, part, { ...snapshot, owner: machine.owner }, store, options));
    }
    return made;
  } finally {
    if (options.snapshot === undefined) {
      await deleteSnapshot(uri, machine, snapshot.name, { report });
      report("the snapshot that it was made from is deleted");
    }
  }
}

async function provideSnapshot(
  uri: string,
  machine: MachineVolumes,
  { snapshot, hold, nowSeconds, shutdownTimeoutSeconds, report }: BackupOptions,
): Promise<Snapshot> {
  const there = await readSnapshots(uri, machine.owner, machine.machine);
  if (snapshot !== undefined) {
    const found = there.find(({ name, whole }) => name === snapshot && whole);
    if (found !== undefined) return found;
    throw new GroundworkError({
      code: "snapshot-missing",
      message: `Cannot back up ${machine.machine}: it has no whole snapshot "${snapshot}".`,
      next: "See `make snapshot ARGS=list`, or leave out --snapshot.",
    });
  }
  for (const { name, takenAtSeconds } of there)
    if (name.startsWith(temporary) && nowSeconds - takenAtSeconds > longestSeconds)
      await deleteSnapshot(uri, machine, name, { report }).catch((error: unknown) => {
        // Another backup that begins does the same.
        if (!(error instanceof GroundworkError) || error.code !== "host-changed") throw error;
      });
  const description = "For a backup that is under way";
  const name = `${temporary}${randomBytes(3).toString("hex")}`;
  const taken = await createSnapshot(
    uri,
    machine,
    { name, description, hold, nowSeconds },
    { shutdownTimeoutSeconds, report },
  );
  report(`the machine was ${taken.consistency ?? "off"} for it`);
  return taken;
}

async function backUp(
  uri: string,
  { volumeGroup, volumeName, volume, marks }: SnapshotPart,
  { takenAtSeconds, owner }: Pick<Snapshot, "takenAtSeconds"> & { owner: string },
  store: BackupStore,
  { sealed, report }: BackupOptions,
): Promise<MadeBackup> {
  const image = backupImage(marks.origin, takenAtSeconds, sealed);
  const key = backupKey(image);
  const { partBytes, count } = planParts(volume.sizeBytes);
  const { activation } = await observeHost(uri);
  const upload = await store.beginUpload(key, count, owner);
  try {
    const script = renderBackup({
      ...{ commands: volumeGroupCommands(activation), volumeGroup, volumeName, image },
      ...{ folder: readCacheLayout().backups, seal: sealed, partBytes, urls: upload.urls },
    });
    const values = await runScript(uri, script, {
      subject: { purpose: `back up volume "${volumeGroup}/${marks.origin}"`, image: key },
      timeoutSeconds: longestSeconds,
      load: "convert",
      secrets: upload.urls,
      onLine: progress(image, report),
    }).finally(() => {
      forgetObservation(uri);
    });
    const [digest = "", bytes] = [values.get("digest"), Number(values.get("bytes"))];
    if (!isDigest(digest)) throw new Error(`the host told no digest of ${key}`);
    await upload.complete(parseEtags(values.get("etags") ?? ""));
    await store.writeChecksum(key, digest);
    return {
      ...{ image, volume: marks.origin, takenAtSeconds, sealed, bytes, complete: true, digest },
      virtualBytes: volume.sizeBytes,
    };
  } catch (error) {
    await upload.abort().catch(() => undefined); // the store gives it up by itself after a while
    throw error;
  }
}

function parseEtags(text: string): { part: number; etag: string }[] {
  return [...text.matchAll(/([0-9]+):([A-Za-z0-9-]+)/g)].map(([, part, etag = ""]) => ({
    ...{ part: Number(part), etag },
  }));
}

function progress(image: string, report: (line: string) => void): (line: string) => void {
  return (line) => {
    const seen = parseProgress(line);
    if (seen?.kind === "convert") report(`${image}: compressing, ${seen.value.toFixed(0)} %`);
    if (seen?.kind === "upload")
      report(`${image}: uploaded ${String(Math.ceil(seen.value / 2 ** 20))} MiB`);
  };
}

/** The backups of the given volumes. Changes nothing. */
export async function readBackups(
  location: StoreLocation,
  volumes: readonly string[],
): Promise<Backup[]> {
  return parseBackups(await openStore(location).list(), volumes);
}

/**
 * Removes the backups of an owner's volumes that the retention excludes; with `dryRun` only says which.
 * Another stack may have volumes of the same names on another host, and its backups in the same bucket.
 */
export async function pruneBackups(
  location: StoreLocation,
  volumes: readonly string[],
  retention: Retention,
  options: { owner: string; inUse: readonly string[]; nowSeconds: number; dryRun?: boolean },
): Promise<{ backup: Backup; reason: RetentionReason }[]> {
  const store = openStore(location);
  const backups: Backup[] = [];
  for (const backup of parseBackups(await store.list(), volumes))
    if ((await store.owner(backupKey(backup.image))) === options.owner) backups.push(backup);
  const goes = planRetention(backups, retention, options.inUse, options.nowSeconds);
  if (options.dryRun !== true)
    for (const { backup } of goes) await store.remove(backupKey(backup.image));
  return goes;
}

/**
 * Removes one backup of an owner.
 * @throws GroundworkError `backup-not-ours`
 */
export async function removeBackup(
  location: StoreLocation,
  image: string,
  owner: string,
): Promise<void> {
  const store = openStore(location);
  const found = await store.owner(backupKey(image));
  if (found !== owner)
    throw new GroundworkError({
      code: "backup-not-ours",
      message: `Refused to remove backup "${image}": ${found === undefined ? "it does not say whose it is" : `it is of ${found}`}, and not of ${owner}.`,
      next: "Remove the object and its .sha256 by hand if nobody needs them.",
    });
  await store.remove(backupKey(image));
}

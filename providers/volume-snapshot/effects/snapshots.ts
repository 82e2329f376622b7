import { type HostObservation, parseProgress } from "../../image-volume/core/parsers.ts";
import { asideVolume, parseHeld } from "../../image-volume/core/snapshot-tags.ts";
import {
  forgetObservation,
  localUri,
  observeHost,
  runScript,
} from "../../image-volume/effects/hosts.ts";
import { runRemove } from "../../image-volume/effects/remove.ts";
import { volumeGroupCommands } from "../../volume-group/core/commands.ts";
import {
  type CreatePlan,
  findVolumes,
  planCreate,
  type SnapshotWish,
} from "../core/create-plan.ts";
import { renderCreate, renderRelease } from "../core/create-script.ts";
import { snapshotError } from "../core/errors.ts";
import {
  findSnapshot,
  isRevertUnderWay,
  planRevert,
  type Reverted,
  type RevertWish,
} from "../core/revert-plan.ts";
import { renderFinish, renderPrepare, renderSwitchAll } from "../core/revert-script.ts";
import { listSnapshots, type MachineVolumes, type Snapshot } from "../core/snapshots.ts";

export interface SnapshotOptions {
  /** How long a machine may take to shut down before it is switched off; default 120. */
  shutdownTimeoutSeconds?: number;
  /** Takes a line of progress. */
  report?: (line: string) => void;
}

/** Runs a script about a machine's volumes, which may take hours to copy. */
async function run(
  uri: string,
  script: string,
  purpose: string,
  { report }: SnapshotOptions,
): Promise<ReadonlyMap<string, string>> {
  const values = await runScript(uri, script, {
    subject: { purpose },
    timeoutSeconds: 4 * 3600,
    load: "copy",
    onLine: (line) => {
      const progress = parseProgress(line);
      if (progress?.kind === "convert") report?.(`copying, ${progress.value.toFixed(0)} %`);
      if (progress?.kind === "stop")
        report?.(`waiting for it to shut down, ${String(progress.value)} s`);
    },
  }).finally(() => {
    forgetObservation(uri);
  });
  const frozen = values.get("frozen");
  if (frozen !== undefined)
    report?.(
      `its agent did not say that the guest writes again: see \`virsh domfsthaw ${frozen}\`; the next snapshot command tries it once more`,
    );
  return values;
}

/** The snapshots of an owner's machines on a host. Changes nothing. */
export async function readSnapshots(
  uri: string,
  owner: string,
  machine?: string,
): Promise<Snapshot[]> {
  const { volumes } = await observeHost(uri, { fresh: true });
  return listSnapshots(volumes, owner, machine);
}

/**
 * Takes a snapshot of all of a machine's volumes at one time.
 * @throws GroundworkError with a code of `SnapshotCode`, `volume-in-use`, `volume-locked`, …
 */
export async function createSnapshot(
  uri: string,
  machine: MachineVolumes,
  wish: SnapshotWish,
  options: SnapshotOptions = {},
): Promise<Snapshot> {
  const action = `take snapshot "${wish.name}" of ${machine.machine}`;
  const host = await releaseHeld(uri, machine, await observeHost(uri, { fresh: true }), options);
  const planned = planCreate(machine, wish, host);
  if (planned.kind === "refusal") throw snapshotError(planned, action);
  const { activation } = host;
  await clearAway(uri, machine, activation, planned, options);
  const script = renderCreate({
    ...{ commands: volumeGroupCommands(activation), libvirtUri: localUri(uri), wish },
    ...{ machine: machine.machine, owner: machine.owner, sources: planned.sources },
    shutdownTimeoutSeconds: options.shutdownTimeoutSeconds ?? 120,
  });
  await run(uri, script, action, options);
  const taken = (await readSnapshots(uri, machine.owner, machine.machine)).find(
    ({ name, whole }) => whole && name === wish.name,
  );
  if (taken !== undefined) return taken;
  throw snapshotError(
    {
      code: "snapshot-incomplete",
      reason: "it went away while it was being taken",
      next: "Run the same command again.",
    },
    action,
  );
}

async function clearAway(
  uri: string,
  machine: MachineVolumes,
  activation: HostObservation["activation"],
  { remove }: CreatePlan,
  options: SnapshotOptions,
): Promise<void> {
  const wipe = wipeOf(machine);
  for (const each of remove)
    await runRemove({ uri, activation, ...each, wipe, tell: tellOf(options) });
}

/** Standard output may be for another program to read. */
function tellOf({ report }: SnapshotOptions): (line: string) => void {
  return report ?? (() => undefined);
}

function wipeOf(machine: MachineVolumes): MachineVolumes["volumes"][number]["wipe"] {
  return machine.volumes[0]?.wipe ?? "zero";
}

/** A run that was killed may have left a guest at rest: it goes on. */
async function releaseHeld(
  uri: string,
  machine: MachineVolumes,
  host: HostObservation,
  options: SnapshotOptions,
): Promise<HostObservation> {
  const found = findVolumes(machine, host);
  if (found.kind === "refusal") return host;
  if (!found.volumes.some(({ seen }) => parseHeld(seen.tags).length > 0)) return host;
  options.report?.(`${machine.machine} was kept from writing by a run that was interrupted`);
  const script = renderRelease(volumeGroupCommands(host.activation), found.volumes, localUri(uri));
  await run(uri, script, `let ${machine.machine} go on`, options);
  return observeHost(uri, { fresh: true });
}

/**
 * Brings the content of a snapshot back onto the machine's volumes. May be repeated after an interruption
 * at any point; until that is done, `up` refuses to touch the volumes.
 *
 * @throws GroundworkError with a code of `SnapshotCode`, `volume-in-use`, `volume-locked`, …
 */
export async function revertSnapshot(
  uri: string,
  machine: MachineVolumes,
  wish: RevertWish,
  options: SnapshotOptions = {},
): Promise<{ snapshot: Snapshot; untouched: string[] }> {
  const action = `bring back snapshot "${wish.name}" of ${machine.machine}`;
  const libvirtUri = localUri(uri);
  const { owner } = machine;
  let host = await releaseHeld(uri, machine, await observeHost(uri, { fresh: true }), options);
  for (;;) {
    const found = findSnapshot(
      machine,
      wish.name,
      listSnapshots(host.volumes, owner, machine.machine),
    );
    if (found.kind === "refusal") throw snapshotError(found, action);
    const phase = planRevert(machine, found.snapshot, wish, host);
    if (phase.kind === "refusal") throw snapshotError(phase, action);
    const { activation } = host;
    const common = { commands: volumeGroupCommands(activation), owner, libvirtUri };
    if (phase.kind === "remove")
      await runRemove({
        ...{ uri, activation, ...phase, wipe: wipeOf(machine), tell: tellOf(options) },
      });
    if (phase.kind === "prepare") await run(uri, renderPrepare(common, phase), action, options);
    if (phase.kind === "switch") {
      const seconds = options.shutdownTimeoutSeconds ?? 120;
      const script = renderSwitchAll(common, phase.all, phase.reference, seconds);
      const values = await run(uri, script, action, options);
      const forced = values.get("forced");
      if (forced !== undefined)
        options.report?.(`${forced} did not shut down in time and was switched off`);
    }
    if (phase.kind === "finish") {
      await run(uri, renderFinish(common, phase.all, phase.reference), action, options);
      await removeAside(uri, phase.all, options);
      const parts = found.snapshot.parts.map(({ marks }) => marks.origin);
      const untouched = machine.volumes
        .map(({ volumeName }) => volumeName)
        .filter((name) => !parts.includes(name));
      return { snapshot: found.snapshot, untouched };
    }
    host = await observeHost(uri, { fresh: true });
  }
}

async function removeAside(
  uri: string,
  all: readonly Reverted[],
  options: SnapshotOptions,
): Promise<void> {
  const { volumes, activation } = await observeHost(uri, { fresh: true });
  for (const { volumeGroup, volumeName, wipe } of all) {
    const aside = asideVolume(volumeName);
    const seen = volumes.get(`${volumeGroup}/${aside}`);
    if (seen?.marks.role !== "aside") continue;
    await runRemove({
      ...{ uri, activation, volumeGroup, volumeName: aside, seen, wipe, tell: tellOf(options) },
    });
  }
}

/**
 * Removes a snapshot, whole or not, after its content as the volumes' `wipe` says. Nothing else.
 * @throws GroundworkError `snapshot-missing`, `volume-in-use`, …
 */
export async function deleteSnapshot(
  uri: string,
  machine: MachineVolumes,
  name: string,
  options: SnapshotOptions = {},
): Promise<void> {
  const action = `delete snapshot "${name}" of ${machine.machine}`;
  const host = await releaseHeld(uri, machine, await observeHost(uri, { fresh: true }), options);
  const snapshots = listSnapshots(host.volumes, machine.owner, machine.machine);
  const snapshot = snapshots.find((each) => each.name === name);
  if (snapshot === undefined) {
    const found = findSnapshot(machine, name, snapshots);
    if (found.kind === "refusal") throw snapshotError(found, action);
    return;
  }
  if (isRevertUnderWay(snapshot, host.volumes))
    throw snapshotError(
      {
        code: "volume-reverting",
        reason: "bringing it back was interrupted, and it is needed for that",
        next: "Run that command once more first.",
      },
      action,
    );
  for (const { volumeGroup, volumeName, volume, marks } of snapshot.parts) {
    const of = machine.volumes.find((each) => each.volumeName === marks.origin);
    const wipe = of?.wipe ?? wipeOf(machine);
    await runRemove({
      ...{ uri, activation: host.activation, volumeGroup, volumeName, seen: volume, wipe },
      tell: tellOf(options),
    });
  }
}

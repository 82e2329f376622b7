import { GroundworkError } from "../../errors.ts";
import type { Guest } from "../../host/effects/host.ts";
import {
  type EtcdSnapshot,
  joinedScript,
  listSnapshotsScript,
  parseSnapshots,
  renderRejoin,
  renderReset,
  retakeScript,
  stopScript,
} from "../core/restore.ts";
import { sayMark } from "../core/node-script.ts";
import { renderSnapshot, snapshotStoreFile } from "../core/snapshots.ts";
import { awaitAnswer } from "./api.ts";
import { serverUrl } from "./at-work.ts";
import { startDeadline } from "./guests.ts";

/** A server of a cluster, as it is entered. */
export interface ServerAccess {
  guest: Guest;
  address: string;
}

/** What a server can be restored from, the newest last. @throws GroundworkError `command-failed`. */
export async function readSnapshots({
  guest,
}: Pick<ServerAccess, "guest">): Promise<EtcdSnapshot[]> {
  const output = await guest.run(listSnapshotsScript, {
    ...{ purpose: "list snapshots of etcd", timeoutSeconds: 120 },
  });
  return parseSnapshots(output).sort((a, b) => a.takenSeconds - b.takenSeconds);
}

/**
 * Saves etcd under a name, to which k3s adds the node's and the time. That a snapshot did not get into the
 * object store is for k3s no more than a line in its log, so it is looked for there.
 *
 * @throws GroundworkError `snapshot-not-stored`
 */
export async function saveSnapshot(
  server: Pick<ServerAccess, "guest">,
  name: string,
): Promise<void> {
  const { guest } = server;
  const run = (script: string, purpose: string): Promise<string> =>
    guest.run(script, { purpose, timeoutSeconds: 300 });
  const stored = async (): Promise<string[]> =>
    (await readSnapshots(server)).flatMap((each) => (each.place === "store" ? [each.name] : []));
  const hasStore = await run(
    `[ ! -s ${snapshotStoreFile} ] || echo yes`,
    "see where snapshots are kept",
  );
  const before = hasStore.trim() === "yes" ? await stored() : undefined;
  await run(renderSnapshot(name), "save etcd");
  if (before === undefined) return;
  const isNew = (each: string): boolean => each.startsWith(`${name}-`) && !before.includes(each);
  if (!(await stored()).some(isNew))
    throw new GroundworkError({
      code: "snapshot-not-stored",
      message: `etcd was saved on "${guest.name}", and the snapshot is not in the object store.`,
      next: `The journal of k3s says why, such as keys or bucket of snapshots.store: make ssh M=${guest.name}, then sudo journalctl -u k3s.`,
    });
}

export interface Restore {
  snapshot: EtcdSnapshot;
  /** The server that is reset to the snapshot; on whose disk it is, where it is on one. */
  on: ServerAccess;
  others: readonly ServerAccess[];
  timeoutSeconds: number;
  report: (line: string) => void;
}

/**
 * Brings a cluster back to a snapshot: all servers stop, one is reset to it, the others join that one.
 * A run that broke off is done again from the beginning. Nothing stops unless all servers can be entered.
 *
 * @throws GroundworkError, as what is run on servers does
 */
export async function restoreCluster(restore: Restore): Promise<void> {
  const { snapshot, on, others, timeoutSeconds, report } = restore;
  const deadline = startDeadline(timeoutSeconds);
  const onLine = (line: string): void => {
    if (line.startsWith(sayMark)) report(`${on.guest.name}: ${line.slice(sayMark.length)}`);
  };
  const run = (guest: Guest, script: string, purpose: string): Promise<string> =>
    guest.run(script, { purpose, timeoutSeconds: Math.ceil(deadline.left()), onLine });
  const start = (guest: Guest): Promise<string> =>
    run(guest, "until systemctl start k3s; do sleep 1; done", "start k3s");

  const all = [on, ...others].map(({ guest }) => guest);
  await Promise.all(all.map((guest) => run(guest, "true", "see whether it can be entered")));
  await stopAll(all, run);
  report(`k3s stands still on ${all.map(({ name }) => name).join(", ")}`);
  await run(on.guest, renderReset(snapshot), `restore snapshot ${snapshot.name}`);
  report(`${on.guest.name} has the content of ${snapshot.name}`);
  await start(on.guest);
  await awaitAnswer({ guest: on.guest, deadline });
  await run(on.guest, retakeScript, "have k3s take the present token");
  await start(on.guest);
  await awaitAnswer({ guest: on.guest, deadline });
  report(`${on.guest.name}: the API answers`);
  for (const { guest } of others) {
    await run(guest, renderRejoin(serverUrl(on)), "join the restored server");
    await start(guest);
    report(`${guest.name} has joined it`);
  }
  for (const { guest } of others)
    await run(guest, joinedScript, "take away the mark of the restoration");
}

/** Stops k3s on all servers; where one does not stop, the others are started again. */
async function stopAll(
  guests: readonly Guest[],
  run: (guest: Guest, script: string, purpose: string) => Promise<string>,
): Promise<void> {
  const stopped = await Promise.allSettled(
    guests.map((guest) => run(guest, stopScript, "stop k3s")),
  );
  const failure = stopped.find(({ status }) => status === "rejected");
  if (failure?.status !== "rejected") return;
  await Promise.allSettled(
    guests.map((guest) => run(guest, "systemctl start --no-block k3s", "start k3s again")),
  );
  throw failure.reason;
}

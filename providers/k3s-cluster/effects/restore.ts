import type { Guest } from "../../host/effects/host.ts";
import {
  doneScript,
  type EtcdSnapshot,
  listSnapshotsScript,
  parseReset,
  parseSnapshots,
  renderRejoin,
  renderReset,
  retakeScript,
  stopScript,
} from "../core/restore.ts";
import { sayMark } from "../core/node-script.ts";
import { renderSnapshot } from "../core/snapshots.ts";
import { awaitAnswer } from "./api.ts";
import { serverUrl } from "./at-work.ts";
import { startDeadline } from "./guests.ts";

/** A server of a cluster, as it is entered. */
export interface ServerAccess {
  guest: Guest;
  address: string;
}

/** What a server can be restored from, the newest last. @throws GroundworkError `command-failed`. */
export async function readSnapshots({ guest }: ServerAccess): Promise<EtcdSnapshot[]> {
  const output = await guest.run(listSnapshotsScript, {
    ...{ purpose: "list snapshots of etcd", timeoutSeconds: 120 },
  });
  return parseSnapshots(output).sort((a, b) => a.takenSeconds - b.takenSeconds);
}

/** Saves etcd under a name, to which k3s adds the node's and the time. */
export async function saveSnapshot({ guest }: ServerAccess, name: string): Promise<void> {
  await guest.run(renderSnapshot("etcd", name), {
    ...{ purpose: "save etcd", timeoutSeconds: 300 },
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
 * A run that broke off goes on behind the reset when the same snapshot is asked for again.
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

  const [stopped = ""] = await Promise.all(
    [on, ...others].map(({ guest }) => run(guest, stopScript, "stop k3s")),
  );
  report(`k3s stands still on ${[on, ...others].map(({ guest }) => guest.name).join(", ")}`);
  if (parseReset(stopped) === snapshot.name)
    report(`${on.guest.name} was reset to ${snapshot.name} by an earlier run`);
  else {
    await run(on.guest, renderReset(snapshot), `restore snapshot ${snapshot.name}`);
    report(`${on.guest.name} has the content of ${snapshot.name}`);
  }
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
  await run(on.guest, doneScript, "take away the mark of the restoration");
}

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  type EtcdSnapshot,
  listSnapshotsScript,
  parseSnapshots,
  renderRejoin,
  renderReset,
  retakeScript,
  stopScript,
} from "../../../../providers/k3s-cluster/core/restore.ts";
import { saveSnapshot } from "../../../../providers/k3s-cluster/effects/restore.ts";
import { buildRows, chooseRow, describeRows } from "../../../../scripts/lib/etcd-report.ts";

const taken = 1767225600;
const snapshot = (changes: Partial<EtcdSnapshot> = {}): EtcdSnapshot => ({
  ...{ name: `daily-cp1-${String(taken)}`, place: "disk", sizeBytes: 2048, takenSeconds: taken },
  ...changes,
});

describe("parseSnapshots", () => {
  it("reads name, place, size and time, and leaves out what k3s did not write", () => {
    const lines = [
      "motd",
      `groundwork-snapshot disk 2048 daily-cp1-${String(taken)}`,
      `groundwork-snapshot store 7 on-demand-cp2-${String(taken + 1)}.zip`,
      "groundwork-snapshot disk 7 notes.txt",
      "groundwork-snapshot disk 7 x';reboot-1767225600",
      "groundwork-snapshot disk 7 ../climb-1767225600",
    ];
    assert.deepEqual(parseSnapshots(lines.join("\n")), [
      snapshot(),
      {
        ...{ name: `on-demand-cp2-${String(taken + 1)}.zip`, place: "store", sizeBytes: 7 },
        takenSeconds: taken + 1,
      },
    ]);
  });
});

describe("saveSnapshot", () => {
  /** A server on which k3s says nothing of what became of a snapshot in the store. */
  const server = (hasStore: boolean, reaches: boolean) => {
    let saved = "";
    const row = (place: string, name: string): string => `groundwork-snapshot ${place} 1 ${name}\n`;
    const run = (script: string): Promise<string> => {
      if (script.includes("etcd-snapshot save")) saved = `mine-cp1-${String(taken)}`;
      else if (script.endsWith("echo yes")) return Promise.resolve(hasStore ? "yes\n" : "");
      else if (script === listSnapshotsScript)
        return Promise.resolve(
          row("store", `mine-cp1-${String(taken - 60)}`) +
            (saved === "" ? "" : row("disk", saved) + (reaches ? row("store", saved) : "")),
        );
      return Promise.resolve("");
    };
    return { guest: { name: "cp1", run } } as unknown as Parameters<typeof saveSnapshot>[0];
  };

  it("finds a snapshot in the store, and asks for none where there is no store", async () => {
    await saveSnapshot(server(true, true), "mine");
    await saveSnapshot(server(false, false), "mine");
  });

  it("does not take an earlier one for the one that did not get there", async () => {
    await assert.rejects(saveSnapshot(server(true, false), "mine"), {
      code: "snapshot-not-stored",
    });
  });
});

describe("scripts that restore", () => {
  it("are valid bash", () => {
    for (const script of [
      ...[listSnapshotsScript, stopScript, retakeScript, renderReset(snapshot())],
      ...[renderReset(snapshot({ place: "store" })), renderRejoin("https://10.0.0.1:6443")],
    ])
      execFileSync("bash", ["-n"], { input: script });
  });

  it("give k3s a path on the disk, or a name in the store", () => {
    assert.match(
      renderReset(snapshot()),
      /--etcd-s3=false --cluster-reset-restore-path=\/var\/lib\/rancher\/k3s\/server\/db\/snapshots\/daily-cp1-1767225600 /,
    );
    assert.match(
      renderReset(snapshot({ place: "store" })),
      /--cluster-reset --cluster-reset-restore-path=daily-cp1-1767225600 /,
    );
  });
});

describe("the list of snapshots", () => {
  const rows = buildRows([
    { server: "cp1", snapshots: [snapshot(), snapshot({ place: "store" })] },
    { server: "cp2", snapshots: [snapshot({ place: "store" })] },
  ]);

  it("has a row for each place, with the servers that reach it", () => {
    assert.deepEqual(
      rows.map(({ place, servers }) => [place, servers]),
      [
        ["disk", ["cp1"]],
        ["store", ["cp1", "cp2"]],
      ],
    );
    assert.deepEqual(describeRows(rows)[1]?.split(/ {2,}/), [
      ...["2026-01-01T00:00:00Z", "2 KiB", "daily-cp1-1767225600", "cp1"],
    ]);
  });

  it("is chosen from by the server, and by what need not be fetched", () => {
    const choose = (server?: string): unknown[] => {
      const { row, on } = chooseRow(rows, "daily-cp1-1767225600", server);
      return [row.place, on];
    };
    assert.deepEqual(choose(), ["disk", "cp1"]);
    assert.deepEqual(choose("cp2"), ["store", "cp2"]);
    assert.throws(() => chooseRow(rows, "daily-cp1-1", undefined), { code: "unknown-snapshot" });
    assert.throws(() => chooseRow(rows, "daily-cp1-1767225600", "cp3"), {
      message: /no snapshot "daily-cp1-1767225600" that cp3 can be restored from/,
    });
  });
});

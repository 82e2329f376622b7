import * as assert from "node:assert/strict";
import * as fc from "fast-check";
import { planParts } from "../../../../providers/volume-backup/core/backup-script.ts";
import {
  type Backup,
  backupImage,
  backupKey,
  parseBackups,
} from "../../../../providers/volume-backup/core/backups.ts";
import {
  incompleteAfterSeconds,
  planRetention,
} from "../../../../providers/volume-backup/core/retention-plan.ts";

const now = 1_764_400_000;
const day = 86_400;
const backup = (daysAgo: number, more: Partial<Backup> = {}): Backup => {
  const takenAtSeconds = now - daysAgo * day;
  const { volume = "vm1-root", sealed = false } = more;
  const image = backupImage(volume, takenAtSeconds, sealed);
  return { image, volume, takenAtSeconds, sealed, bytes: 10, complete: true, ...more };
};

describe("parseBackups", () => {
  it("finds again what was named, whenever it was taken", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), fc.boolean(), (taken, sealed) => {
        const image = backupImage("vm1-root", taken, sealed);
        assert.match(image, /^[a-z0-9][a-z0-9._-]{0,63}$/);
        const key = backupKey(image);
        assert.deepEqual(
          parseBackups(
            [
              { key, bytes: 5 },
              { key: `${key}.sha256`, bytes: 80 },
            ],
            ["vm1-root"],
          ),
          [{ image, volume: "vm1-root", takenAtSeconds: taken, sealed, bytes: 5, complete: true }],
        );
      }),
    );
  });

  it("takes no other object for one, and one without checksum for incomplete", () => {
    const key = backupKey(backupImage("vm1-root", now, false));
    const others = ["debian.qcow2", "vm1-root.qcow2", "vm1-root.2026.qcow2", "x"];
    const objects = [...others, key].map((each) => ({ key: each, bytes: 5 }));
    const found = parseBackups(objects, ["vm1-root"]);
    assert.deepEqual(
      found.map(({ complete }) => complete),
      [false],
    );
    assert.deepEqual(parseBackups(objects, ["vm1"]), []);
  });

  it("refuses a machine whose name leaves no room for the time", () => {
    assert.throws(() => backupImage(`${"a".repeat(60)}-root`, now, false), {
      code: "backup-name-too-long",
    });
  });
});

describe("planRetention", () => {
  const plan = (
    backups: readonly Backup[],
    retention: Parameters<typeof planRetention>[1],
    inUse: readonly string[] = [],
  ): string[] =>
    planRetention(backups, retention, inUse, now).map(
      (each) => `${String((now - each.backup.takenAtSeconds) / day)} ${each.reason}`,
    );

  it("keeps the newest of each volume by number", () => {
    const all = [0, 1, 2, 3].map((days) => backup(days));
    const data = [5, 6].map((days) => backup(days, { volume: "vm1-data" }));
    assert.deepEqual(plan([...all, ...data], { maxCount: 2 }), ["2 count", "3 count"]);
  });

  it("keeps what is young enough, and the newest whatever its age", () => {
    const all = [40, 50, 60].map((days) => backup(days));
    assert.deepEqual(plan([...all, backup(1)], { maxAgeSeconds: 45 * day }), ["50 age", "60 age"]);
    assert.deepEqual(plan(all, { maxAgeSeconds: 30 * day }), ["50 age", "60 age"]);
  });

  it("keeps images of the stack and sealed ones, and counts neither incomplete", () => {
    const used = backup(9);
    const all = [backup(0), backup(1, { complete: false }), used, backup(8, { sealed: true })];
    assert.deepEqual(plan(all, { maxCount: 1 }, [used.image]), []);
    assert.deepEqual(plan(all, { maxCount: 1 }), ["9 count"]);
  });

  it("removes what never came to its end, once nobody can be writing it", () => {
    const days = incompleteAfterSeconds / day;
    const all = [backup(days + 1, { complete: false }), backup(days - 1, { complete: false })];
    assert.deepEqual(plan(all, {}), [`${String(days + 1)} incomplete`]);
  });

  it("leaves a complete backup of every volume, whatever the limits", () => {
    const backups = fc.array(
      fc
        .tuple(fc.nat(100), fc.boolean(), fc.constantFrom("vm1-root", "vm1-data"))
        .map(([days, complete, volume]) => backup(days, { complete, volume })),
    );
    const limits = fc.record({
      maxCount: fc.integer({ min: 1, max: 5 }),
      maxAgeSeconds: fc.nat(50 * day),
    });
    fc.assert(
      fc.property(backups, limits, (all, retention) => {
        const goes = planRetention(all, retention, [], now).map((each) => each.backup);
        for (const { volume, complete } of all)
          if (complete)
            assert.ok(
              all.some((each) => each.volume === volume && each.complete && !goes.includes(each)),
            );
      }),
    );
  });
});

describe("planParts", () => {
  it("covers any image with parts that S3 takes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 512, max: 64 * 2 ** 40 }), (bytes) => {
        const { partBytes, count } = planParts(bytes);
        assert.ok(count <= 10_000 && partBytes >= 5 * 2 ** 20 && count * partBytes > bytes);
        if (bytes < 2 ** 42) assert.ok(partBytes <= 5 * 2 ** 30);
      }),
    );
  });
});

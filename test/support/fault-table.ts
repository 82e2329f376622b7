import type { TestResult } from "./totals.ts";

/** A fault or bad input that the image-volume provider must meet, and what must then happen. */
export interface FaultRow {
  row: number;
  fault: string;
  mustHappen: string;
}

/** How a test ended. */
export type TestState = TestResult["state"];

/** What all tests of a row say together. */
export type RowState = TestState | "missing";

/**
 * The faults of docs/faults.md. A test belongs to a row by its title: `#17 fetches once for …`; one
 * that shows two rows begins with both: `#35 #37 …`.
 */
export const faultTable: readonly FaultRow[] = (
  [
    ["checksum file missing", "refused, or warning and recorded as unverified"],
    ["checksum file 403, 5xx, timeout", "error, never taken for a missing one"],
    ["`hash  file`, upper case, CRLF", "normalised"],
    ["64 non-hex characters, `../`, huge checksum file", "rejected; bounded read"],
    ["body differs from its checksum", "no cache entry, no mark, both digests shown, no retry"],
    ["truncated body", "detected; resumed"],
    ["object replaced during the download", "If-Match fails; the next run begins anew"],
    ["same URL, new content, no checksum file", "refused as #1, or detected by ETag and length"],
    ["503 now and then", "bounded back-off, then success"],
    ["no Range, no HEAD, 416", "single stream"],
    ["404, DNS, bad credentials", "fast failure, no retry storm"],
    ["unknown or wrong CA", "failure, no insecure fallback"],
    ["expired presigned URL", "clear error, URL redacted"],
    ["cache disk full", "temporary file removed, other entries intact"],
    ["bit-flipped cache entry", "quarantined, fetched again"],
    ["entry truncated by a power cut", "never a hit"],
    ["two stacks fetch one key at once", "one download"],
    ["eviction while in use", "the lock holds"],
    ["same base name in two buckets", "distinct keys"],
    ["qcow2 with a backing file", "rejected before qemu-img opens it"],
    ["data-file, unknown feature bit, version 1 or 4", "rejected"],
    ["raw, ISO, polyglot or HTML named .qcow2", "rejected; nothing is probed"],
    ["giant L1 table, decompression bomb", "killed by limits, host unharmed"],
    ["virtual size above / equal to the volume", "rejected before any write / works"],
    ["volume pre-filled with 0xAA", "holes and tail read zero afterwards"],
    ["volume open, domain running or paused", "refused"],
    ["volume exists with another size", "in the diff; grown in place; shrink refused"],
    ["volume exists and is not ours", "refused without `adopt`"],
    ["populating a reused volume fails", "volume kept, unmarked, not removed"],
    ["VG full; thin data or metadata full", "early failure, pool healthy"],
    ["SSH drops mid-convert", "remote work is reaped"],
    ["Pulumi killed (-9) mid-create", "next up converges: no duplicate, no orphan"],
    ["host dies mid-convert", "not marked; repopulated"],
    ["host dies just after success", "data is there"],
    ["volume or cache entry removed by hand", "refresh and preview show it"],
    ["preview while the host is down", '"unknown" with a warning, never "hit"'],
    ["preview changes anything", "must not: the host is compared before and after"],
    ["up twice", "second: nothing written"],
    ["delete in use / already gone", "refused / succeeds"],
    ["names with `;`, `$()`, space, leading `-`, `..`", "rejected or inert"],
    ["SSH host key changed", "aborts"],
  ] satisfies [string, string][]
).map(([fault, mustHappen], index) => ({ row: index + 1, fault, mustHappen }));

/** The rows that a test's title names, in front of everything else. */
export function rowsOf(title: string): number[] {
  const [named = ""] = /^(#\d+ )+/.exec(title) ?? [];
  return [...named.matchAll(/\d+/g)].map(([digits]) => Number(digits));
}

/** What the tests of one row say together: a failure counts most, then whatever did not run. */
function stateOf(states: readonly TestState[]): RowState {
  return (
    (["failed", "skipped", "passed"] as const).find((each) => states.includes(each)) ?? "missing"
  );
}

/** The table that closes a whole test run. */
export function renderFaultTable(
  tests: readonly TestResult[],
  table: readonly FaultRow[] = faultTable,
): string {
  const lines = table.map(({ row, fault }) => {
    const own = tests.filter(({ title }) => rowsOf(title).includes(row));
    const state = stateOf(own.map((test) => test.state));
    return { state, cells: [`#${String(row)}`, state, String(own.length), fault] };
  });
  const cells = [["FAULT", "RESULT", "TESTS", ""], ...lines.map((line) => line.cells)];
  const width = (column: number): number =>
    Math.max(...cells.map((row) => row[column]?.length ?? 0));
  const counts = (["passed", "failed", "skipped", "missing"] as const).flatMap((wanted) => {
    const rows = lines.filter(({ state }) => state === wanted).length;
    return rows === 0 ? [] : [`${String(rows)} ${wanted}`];
  });
  return [
    ...cells.map((row) =>
      row
        .map((cell, column) => (column === 3 ? cell : cell.padEnd(width(column))))
        .join("  ")
        .trimEnd(),
    ),
    `${String(table.length)} faults: ${counts.join(", ")}`,
  ].join("\n");
}

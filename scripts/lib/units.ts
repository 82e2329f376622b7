/** `0.4 s`, `12.3 s`, `2 min 5 s`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${String(Math.floor(whole / 60))} min ${String(whole % 60)} s`;
}

/** `0 B`, `512 KiB`, `1.9 GiB`: at most one decimal, binary units. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1023.95 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.95 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, "")} ${units[unit] ?? ""}`;
}

/** `3 days`, `2 h`, `5 min`: how long ago. */
export function formatAge(seconds: number): string {
  if (seconds >= 2 * 86_400) return `${String(Math.floor(seconds / 86_400))} days`;
  if (seconds >= 7200) return `${String(Math.floor(seconds / 3600))} h`;
  return `${String(Math.max(0, Math.floor(seconds / 60)))} min`;
}

/** Columns aligned by spaces, one line per row. */
export function formatTable(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/** Reads `512MiB`, `20 GiB` or a number of bytes; `undefined` for anything else. */
export function parseBytes(text: string): number | undefined {
  const [, value, unit = "B"] = /^([0-9]+(?:\.[0-9]+)?) ?(B|KiB|MiB|GiB|TiB)?$/.exec(text) ?? [];
  if (value === undefined) return undefined;
  return Math.round(Number(value) * 1024 ** ["B", "KiB", "MiB", "GiB", "TiB"].indexOf(unit));
}

import { GroundworkError } from "../../errors.ts";

/** How volumes become block devices: by the kernel's device mapper, or by loop devices where it has none. */
export type Activation = "device-mapper" | "loop";

const lvmName = /^[A-Za-z0-9_.+][A-Za-z0-9_.+-]{0,126}$/;

/**
 * Gives back the name of a volume group or volume that is safe in paths, options and scripts.
 * @throws GroundworkError `bad-volume-name` for any other.
 */
export function checkedName(kind: "volume group" | "volume" | "tag", name: string): string {
  if (lvmName.test(name) && !/^\.{1,2}$/.test(name)) return name;
  throw new GroundworkError({
    code: "bad-volume-name",
    message: `Cannot use ${JSON.stringify(name)} as the name of a ${kind}: LVM allows 1 to 127 letters, digits, "_", ".", "+" and "-", without a leading "-".`,
    next: "Choose another name in the configuration.",
  });
}

/** Reads what {@link renderDetectActivation} printed. */
export function parseActivation(printed: string): Activation {
  const word = printed.trim();
  if (word === "device-mapper" || word === "loop") return word;
  throw new GroundworkError({
    code: "activation-unknown",
    message: `Cannot tell how volumes become devices: the probe printed ${JSON.stringify(word)}.`,
    next: "Run `grep device-mapper /proc/devices` on that host and see what fails.",
  });
}

/** A script that prints the {@link Activation} of the machine it runs on. Loads dm_mod when that is possible. */
export function renderDetectActivation(): string {
  return [
    "known() { grep -q ' device-mapper$' /proc/devices; }",
    "known || modprobe dm_mod 2>/dev/null || true",
    "if known; then echo device-mapper; else echo loop; fi",
  ].join("\n");
}

import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GroundworkError } from "../../providers/errors.ts";
import { layoutOf, ownerFileOf, runFolder } from "../core/layout.ts";
import { nameTaken } from "../core/plan-hypervisor.ts";
import type { EmbeddedFacts } from "../core/types.ts";

/** The home that a name belongs to, from the file below /run that says so; one that a crash left empty says nothing. */
export function readOwner(file: string): string | undefined {
  const owner = existsSync(file) ? readFileSync(file, "utf8") : "";
  return owner === "" ? undefined : owner;
}

/** Whether a home has embedded parts; one that was removed holds its name no more. */
export function isInUse(home: string): boolean {
  return existsSync(join(home, "embedded"));
}

/**
 * Takes a name for a home, as a whole or not at all; the machine's lock is held meanwhile.
 *
 * @throws GroundworkError `embedded-name-taken` when another home was faster.
 */
export function takeName(file: string, name: string, home: string): void {
  const owner = readOwner(file);
  if (owner !== undefined && owner !== home && isInUse(owner))
    throw new GroundworkError(nameTaken(name, owner));
  writeFileSync(`${file}.new`, home);
  renameSync(`${file}.new`, file);
}

/** Every name that a home has taken, also one that its options no longer say. */
export function readNamesOf(home: string): string[] {
  if (!existsSync(runFolder)) return [];
  return readdirSync(runFolder).filter(
    (name) => !name.startsWith(".") && readOwner(layoutOf({ home, name }).owner) === home,
  );
}

/** Whether a hypervisor that was written down is the home's still, and not behind a name that another has taken. */
export function holdsHypervisor(home: string, { kind, uri }: EmbeddedFacts["hypervisor"]): boolean {
  return kind === "system" || readOwner(ownerFileOf(uri)) === home;
}

import * as fs from "node:fs/promises";
import * as path from "node:path";
import { readNames } from "./files.ts";

/** Everything that Groundwork puts into its home folder. */
const ours = [
  ...["state", "passphrase", "ssh", "kube", "embedded", "pools", "logs", "provision-server"],
  ...["cache", "cache.rates", "cache.backups", "cache.backups.lock"],
  "cache.rates.lock", // which earlier versions made
  "container-images.json",
];

/** Of a recovery that was killed too. */
const isOurs = (name: string): boolean => ours.includes(name) || /^\.import-.+\.json$/.test(name);

/**
 * Removes what is ours from the home folder, and the folder itself when nothing else is in it,
 * since GROUNDWORK_HOME may name a folder that holds other things.
 *
 * @param keeps names of ours that something is still to be opened with
 * @returns what else stays there
 */
export async function removeHome(home: string, keeps: readonly string[]): Promise<string[]> {
  for (const name of (await readNames(home)) ?? [])
    if (isOurs(name) && !keeps.includes(name))
      await fs.rm(path.join(home, name), { recursive: true, force: true });
  const rest = await readNames(home);
  if (rest?.length === 0) await fs.rmdir(home);
  return (rest ?? []).filter((name) => !keeps.includes(name));
}

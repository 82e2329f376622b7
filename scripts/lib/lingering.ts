import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Ends a program that goes on though it has written its results, for something that it started still
 * runs and would keep it for ever. Resolves when the program has ended.
 *
 * @param results the file that it writes last
 * @param seconds that it may take to end by itself then
 * @returns whether it had to be ended
 */
export async function endLingering(
  child: PromiseLike<unknown> & { kill(): boolean },
  results: string,
  seconds: number,
): Promise<boolean> {
  const ended = child.then(() => true);
  const endsWithin = (limit: number): Promise<boolean> =>
    Promise.race([ended, sleep(limit * 1000, false, { ref: false })]);
  while (!fs.existsSync(results)) if (await endsWithin(0.5)) return false;
  if (await endsWithin(seconds)) return false;
  child.kill();
  await ended;
  return true;
}

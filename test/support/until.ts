import { setTimeout as sleep } from "node:timers/promises";

/** Waits until the condition holds; throws, naming what was waited for, when it does not in time. */
export async function until(
  condition: () => boolean,
  what = "what was waited for",
  seconds = 60,
): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${what}: not within ${String(seconds)} s`);
    await sleep(50);
  }
}

/** Tries again until `check` no longer throws; throws what it threw last when it does not in time. */
export async function eventually(
  what: string,
  check: () => Promise<void>,
  seconds = 60,
): Promise<void> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (performance.now() > end)
        throw new Error(`${what}: not within ${String(seconds)} s`, { cause: error });
    }
    await sleep(500);
  }
}

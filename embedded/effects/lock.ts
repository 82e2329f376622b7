import { execa } from "execa";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { GroundworkError } from "../../providers/errors.ts";
import { runFolder } from "../core/layout.ts";

/**
 * Runs `work` while no other run changes the embedded parts of this home. The lock is on the folder
 * itself and held by a child that ends with us, so a run that was killed never leaves it behind.
 *
 * @throws GroundworkError `embedded-locked` when another run keeps it for three minutes.
 */
export async function withLock<T>(
  home: string,
  report: (line: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  mkdirSync(home, { recursive: true });
  const hold = (wait: readonly string[]): ReturnType<typeof start> => start(home, wait);
  let holder = await hold(["--nonblock"]);
  if (holder === undefined) {
    report("waiting for another run that works on the embedded parts of this checkout");
    holder = await hold(["--wait", "180"]);
  }
  if (holder === undefined)
    throw new GroundworkError({
      code: "embedded-locked",
      message: `Another run has been working on the embedded parts in ${home} for three minutes.`,
      next: `Wait for it, or find it with \`fuser -v ${home}\` and end it.`,
    });
  try {
    return await work();
  } finally {
    await holder();
  }
}

/**
 * Runs `work` while no other checkout changes what all share below /run, which takes moments. The lock
 * is on /run itself, since the folder of ours in it comes and goes.
 *
 * @throws GroundworkError `embedded-locked` when another keeps it for a minute.
 */
export async function withMachineLock<T>(work: () => T | Promise<T>): Promise<T> {
  const folder = dirname(runFolder);
  const release = await start(folder, ["--wait", "60"]);
  if (release === undefined)
    throw new GroundworkError({
      code: "embedded-locked",
      message: `${folder} has been locked by another process for a minute.`,
      next: `Find it with \`lslocks\`, end it, and run the same command again.`,
    });
  try {
    return await work();
  } finally {
    await release();
  }
}

/** Takes the lock and gives what releases it; undefined when it could not be had in time. */
async function start(
  home: string,
  wait: readonly string[],
): Promise<(() => Promise<void>) | undefined> {
  const child = execa("flock", [...wait, "--no-fork", home, "sh", "-c", "echo held; exec cat"], {
    stdin: "pipe",
    reject: false,
    buffer: false,
    detached: true, // a Ctrl-C at the terminal must not drop it before we do
    cleanup: true,
  });
  const held = await new Promise<boolean>((resolve) => {
    child.stdout.once("data", () => {
      resolve(true);
    });
    void child.then(() => {
      resolve(false);
    });
  });
  if (!held) return undefined;
  return async () => {
    child.stdin.end();
    await child;
  };
}

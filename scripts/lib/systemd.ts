import * as fs from "node:fs/promises";
import * as path from "node:path";
import { execa } from "execa";
import { GroundworkError } from "../../providers/errors.ts";

/** Where an administrator's own units are. */
export const unitFolder = "/etc/systemd/system";

/**
 * Writes units, by their names, and switches the timer among them on. May be repeated.
 * @throws GroundworkError `systemd-failed`
 */
export async function installUnits(
  units: Readonly<Record<string, string>>,
  timer: string,
): Promise<void> {
  await requireSystemd();
  for (const [file, content] of Object.entries(units))
    await fs.writeFile(path.join(unitFolder, file), content);
  await systemctl("daemon-reload");
  await systemctl("enable", "--now", timer);
}

/**
 * Asks systemd itself whether it takes a time, so that no unit is written with one that it does not.
 * @throws GroundworkError `bad-time`
 */
export async function requireCalendar(at: string): Promise<void> {
  const { exitCode, stderr } = await execa("systemd-analyze", ["calendar", "--", at], {
    reject: false,
  });
  if (exitCode === 0) return;
  throw new GroundworkError({
    code: "bad-time",
    message: `Cannot use "${at}" as a time for systemd: ${stderr.trim()}.`,
    next: 'Write one of systemd.time(7), such as "*-*-* 03:00:00" or "Mon 04:30".',
  });
}

/** The reverse; succeeds when there is none. */
export async function removeUnits(files: readonly string[], timer: string): Promise<void> {
  await requireSystemd();
  await execa("systemctl", ["disable", "--now", timer], { reject: false }); // it may be gone
  for (const file of files) await fs.rm(path.join(unitFolder, file), { force: true });
  await systemctl("daemon-reload");
}

/** Asked before anything is written. */
async function requireSystemd(): Promise<void> {
  try {
    await fs.access("/run/systemd/system");
    await fs.access(unitFolder, fs.constants.W_OK);
  } catch (cause) {
    throw new GroundworkError({
      code: "systemd-missing",
      message: `Cannot change units in ${unitFolder}: systemd does not run here, or you may not write there.`,
      next: "Run it as root on a machine with systemd, or use --format cron.",
      cause,
    });
  }
}

async function systemctl(...args: string[]): Promise<void> {
  const { exitCode, stderr, shortMessage } = await execa("systemctl", args, { reject: false });
  if (exitCode === 0) return;
  throw new GroundworkError({
    code: "systemd-failed",
    message: `\`systemctl ${args.join(" ")}\` failed: ${(stderr === "" ? (shortMessage ?? "") : stderr).trim()}.`,
    next: "Run it as root on a machine with systemd, or use --format cron.",
  });
}

import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

/** Where the file system of such a disk begins, in bytes. */
const rootOffset = 2048 * 512;
const rootBytes = 40 * 2 ** 20;

/**
 * Writes a raw disk of 64 MiB with a GPT whose first partition is an ext4 file system with these files, by
 * their absolute paths. Needs gdisk and e2fsprogs.
 */
export function writeGuestDisk(file: string, files: Record<string, string>): void {
  const folder = `${file}.files`;
  for (const [name, text] of Object.entries(files)) {
    const target = path.join(folder, name);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, text);
  }
  execFileSync("truncate", ["-s", "64M", file]);
  execFileSync("sgdisk", ["-n", `1:2048:+${String(rootBytes / 1024)}K`, "-t", "1:8300", file]);
  execFileSync("mke2fs", [
    ...["-q", "-F", "-t", "ext4", "-d", folder, "-E", `offset=${String(rootOffset)}`, file],
    `${String(rootBytes / 1024)}k`,
  ]);
  fs.rmSync(folder, { recursive: true });
}

/** What debugfs prints of the file system on such a disk, which may be a device. */
export function askGuestDisk(disk: string, request: string): string {
  const device = `${disk}?offset=${String(rootOffset)}`;
  return execFileSync("debugfs", ["-R", request, device], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
}

/** Fails unless the file system on such a disk is in order. */
export function assertGuestDisk(disk: string): void {
  execFileSync("e2fsck", ["-f", "-n", `${disk}?offset=${String(rootOffset)}`], { stdio: "pipe" });
}

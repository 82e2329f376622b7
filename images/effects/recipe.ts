import { createHash } from "node:crypto";
import { execa } from "execa";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import {
  type DebianRelease,
  type DebianSource,
  type IndexTarget,
  indexTargetFormat,
  parseIndexTargets,
  parseOsRelease,
  planDebianSource,
} from "../core/debian.ts";
import { imageError } from "../core/errors.ts";

/** The folder of the recipe: the builder and what it puts into the image. */
export const recipeFolder = path.join(import.meta.dirname, "..", "debian");

/** SHA-256 over names, modes and contents of the recipe's files. */
export async function digestRecipe(folder = recipeFolder): Promise<string> {
  const names = await fs.readdir(folder, { recursive: true });
  const hash = createHash("sha256");
  for (const name of names.sort()) {
    const file = path.join(folder, name);
    const stat = await fs.lstat(file);
    if (!stat.isFile()) continue;
    const executable = (stat.mode & 0o100) !== 0;
    hash.update(JSON.stringify([name, executable, (await fs.readFile(file)).toString("base64")]));
  }
  return hash.digest("hex");
}

/** The mirrors of the machine's own apt, and its release unless another is wanted. */
export async function readDebianSource(wanted?: DebianRelease): Promise<DebianSource> {
  const os = parseOsRelease(await fs.readFile("/etc/os-release", "utf8").catch(() => ""));
  let targets = await readIndexTargets();
  if (os.id === "debian" && targets.length === 0) {
    // apt tells only of the indexes it has, and a fresh or tidied machine has none yet.
    await execa("apt-get", ["update", "-q"], { reject: false, env: { LC_ALL: "C" } });
    targets = await readIndexTargets();
  }
  return planDebianSource(os, targets, wanted);
}

async function readIndexTargets(): Promise<IndexTarget[]> {
  const listed = await execa("apt-get", ["indextargets", "--format", indexTargetFormat], {
    reject: false,
    env: { LC_ALL: "C" },
  });
  return parseIndexTargets(listed.stdout);
}

/** What the builder runs, and the Debian package of each. */
const tools = {
  mmdebstrap: "mmdebstrap",
  unshare: "util-linux",
  flock: "util-linux",
  "qemu-img": "qemu-utils",
  sgdisk: "gdisk",
  "mkfs.vfat": "dosfstools",
  mcopy: "mtools",
  mke2fs: "e2fsprogs",
  debugfs: "e2fsprogs",
  "grub-mkimage": "grub-common",
};

/** @throws GroundworkError `image-tools-missing` */
export async function requireTools(name: string): Promise<void> {
  const script = 'for tool; do command -v "$tool" >/dev/null || echo "$tool"; done';
  const { stdout } = await execa("bash", ["-c", script, "bash", ...Object.keys(tools)], {
    env: { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` },
  });
  const missing = stdout.split("\n").filter((tool): tool is keyof typeof tools => tool in tools);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((tool) => tools[tool]))].join(" ");
  throw imageError(
    "image-tools-missing",
    `Cannot build image "${name}" here: there is no ${missing.join(", ")}.`,
    { next: `Run \`apt-get install ${packages}\`, or give the image a url instead of build.` },
  );
}

import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Properties } from "../providers/handler.ts";
import * as provider from "../providers/image-volume/provider.ts";
import { tied } from "../test/support/scratch.ts";
import type { BenchImage, BenchLab } from "./lab.ts";

const program = path.resolve(import.meta.dirname, "../test/support/create-volume.ts");

/** Seconds for so many volumes of one image at once, nothing cached. */
export async function measureVolumes(
  bench: BenchLab,
  image: BenchImage,
  counts: readonly number[],
) {
  const seconds = new Map<number, number>();
  for (const count of counts) {
    bench.forgetImages();
    seconds.set(count, await bench.create(image, count));
  }
  return seconds;
}

/** How often the same piece of the image is asked for when so many volumes are made at once. */
export async function countDownloads(bench: BenchLab, image: BenchImage, count: number) {
  const { front } = bench.lab;
  bench.forgetImages();
  front.seen.length = 0;
  await bench.create(image, count, () => bench.args(image, front.endpoint));
  const pieces = front.seen
    .filter(({ method, path: at }) => method === "GET" && at.endsWith(image.key))
    .map(({ range }) => range ?? "all")
    .filter((range) => range !== "bytes=0-4095");
  return Math.max(...pieces.map((piece) => pieces.filter((other) => other === piece).length), 0);
}

/** Makes a volume in a process of its own, nothing cached; returns that process's peak memory. */
export async function measurePeakMiB(bench: BenchLab, image: BenchImage): Promise<number> {
  bench.forgetImages();
  const inputs: Properties = await bench.lab.check(bench.args(image));
  const [command, words] = tied(process.execPath, [
    ...["--import=tsx", program, JSON.stringify(inputs)],
  ]);
  const child = spawn(command, words, { stdio: ["ignore", "ignore", "inherit"] });
  let peakKiB = 0;
  const look = setInterval(() => {
    // It only ever grows, so the last look before the end has nearly all of it.
    const status = readIfThere(`/proc/${String(child.pid)}/status`);
    peakKiB = Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? peakKiB);
  }, 20);
  const status = await new Promise((resolve) => child.once("exit", resolve));
  clearInterval(look);
  if (status !== 0) throw new Error(`the volume was not made (exit code ${String(status)})`);
  const { volumeGroup, volumeName } = inputs;
  await provider.delete(`${String(volumeGroup)}/${String(volumeName)}`, inputs);
  return peakKiB / 1024;
}

function readIfThere(file: string): string {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

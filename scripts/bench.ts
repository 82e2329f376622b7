import { Command, InvalidArgumentError } from "commander";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { format } from "prettier";
import { renderReport } from "../bench/core/report.ts";
import { type Figures, judge, type Measured, median } from "../bench/core/targets.ts";
import { measureClones } from "../bench/clone.ts";
import { countDownloads, measurePeakMiB, measureVolumes } from "../bench/growth.ts";
import { BenchLab } from "../bench/lab.ts";
import { canShapeLinks, measureLink } from "../bench/link.ts";
import { measurePopulate } from "../bench/populate.ts";
import { countUnchangedWrites, measurePreviews } from "../bench/pulumi.ts";
import { lvmGuestNeeds } from "../test/support/lvm-guest.ts";
import { missingNeed } from "../test/support/needs.ts";
import { runCommand } from "./lib/cli.ts";
import { checkout } from "./lib/environment.ts";
import { createProgress } from "./lib/phases.ts";
import { cacheRoot, pulumiHome } from "./lib/tools-paths.ts";

interface BenchOptions {
  runs: number;
  dataMib: number;
  virtualMib: number;
  volumes: number[];
  growth: number[];
  write: boolean;
}

const page = path.join(checkout, "docs", "benchmarks.md");

/** Measures everything, says whether the promises hold, and exits with 1 when one does not. */
async function bench(options: BenchOptions): Promise<void> {
  process.env["GROUNDWORK_CACHE"] ??= cacheRoot(process.env);
  process.env["PULUMI_HOME"] ??= pulumiHome(process.env);
  const progress = createProgress(process.stderr);
  const loadBefore = os.loadavg()[0] ?? 0;
  const { dataMib: dataMiB, virtualMib: virtualMiB, runs } = options;
  const largest = Math.max(...options.growth, dataMiB);
  const lab = await BenchLab.make(
    Math.max(...options.volumes, 2) * (virtualMiB + 64) + 2 * largest + 1024,
  );
  const seconds = new Map<Measured, number[]>();
  const note = (name: Measured, value: number): void => {
    seconds.set(name, [...(seconds.get(name) ?? []), value]);
    progress.report(`${name} ${value.toFixed(2)} s`);
  };
  try {
    const images = await progress.phase("Images", async () => ({
      zlib: await lab.image(dataMiB, virtualMiB, "zlib"),
      zstd: await lab.image(dataMiB, virtualMiB, "zstd"),
    }));
    await progress.phase("Side by side", () => measurePopulate(lab, images, runs, note));
    const { zlib } = images;
    const volumes = await progress.phase("More volumes", () =>
      measureVolumes(lab, zlib, options.volumes),
    );
    const growth = new Map<number, { cold: number; warm: number }>();
    const peakMiB = new Map<number, number>();
    await progress.phase("Larger images", async () => {
      for (const mebibytes of options.growth) {
        const image = await lab.image(mebibytes, mebibytes + 256);
        lab.forgetImages();
        growth.set(mebibytes, { cold: await lab.create(image), warm: await lab.create(image) });
        peakMiB.set(mebibytes, await measurePeakMiB(lab, image));
      }
    });
    const downloads = await countDownloads(lab, zlib, Math.max(...options.volumes));
    const bytesWrittenUnchanged = await progress.phase("Pulumi", async () => {
      await measurePreviews(lab, zlib, runs, note);
      return countUnchangedWrites(lab, zlib);
    });
    if (canShapeLinks()) await progress.phase("A slow link", () => measureLink(lab, zlib, note));
    if (lvmGuestNeeds.every((need) => missingNeed(need) === undefined))
      await progress.phase("Clones in a guest", () => measureClones(runs, note));
    const medians = [...seconds].map(([name, values]) => [name, median(values)] as const);
    const figures = {
      seconds: Object.fromEntries(medians) as Figures["seconds"],
      ...{ volumes, growth, peakMiB, downloads, bytesWrittenUnchanged },
    };
    const verdicts = judge(figures);
    const mebibytes = (bytes: number): number => bytes / 2 ** 20;
    const text = await format(
      renderReport(
        {
          ...describeMachine(),
          ...{ runs, loadBefore },
          image: {
            ...{ dataMiB, virtualMiB },
            zlibMiB: mebibytes(zlib.bytes),
            zstdMiB: mebibytes(images.zstd.bytes),
          },
        },
        figures,
        verdicts,
      ),
      { parser: "markdown" },
    );
    process.stdout.write(text);
    if (options.write) fs.writeFileSync(page, text);
    if (verdicts.some(({ holds }) => holds === false)) process.exitCode = 1;
  } finally {
    lab.remove();
  }
}

function describeMachine() {
  const first = (file: string, ...args: string[]): string =>
    execFileSync(file, args, { cwd: checkout, encoding: "utf8" }).split("\n")[0] ?? "";
  const [processor] = os.cpus();
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: first("git", "describe", "--always", "--dirty"),
    processor: processor?.model.trim() ?? "unknown",
    cores: os.availableParallelism(),
    memoryGiB: os.totalmem() / 2 ** 30,
    kernel: os.release(),
    loadAfter: os.loadavg()[0] ?? 0,
    tools: [
      first("qemu-img", "--version"),
      first("curl", "--version").split(" (")[0] ?? "",
      `Node.js ${process.version}`,
    ],
  };
}

const positive = (text: string): number => {
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new InvalidArgumentError("must be a whole number above 0");
};
const list = (text: string): number[] => text.split(",").map(positive);

await runCommand(
  new Command("make bench")
    .description(
      "Measures the image-volume provider against other methods and against its promises.",
    )
    .usage("[ARGS=options]")
    .option("--runs <count>", "how often each method takes its turn", positive, 5)
    .option("--data-mib <size>", "data in the image", positive, 514)
    .option("--virtual-mib <size>", "size of the disk in it", positive, 2048)
    .option("--volumes <counts>", "how many volumes at once", list, [1, 2, 4, 8])
    .option("--growth <sizes>", "data in images of growing size, in MiB", list, [205, 1024, 4096])
    .option("--write", "writes docs/benchmarks.md", false)
    .addHelpText(
      "after",
      `
Needs root, LVM, loop devices, and about 40 GiB in the temporary folder (TMPDIR moves it); takes
about 15 minutes. Nothing else should run meanwhile. It exits with 1 when a promise is broken.

Examples:
  make bench
  make bench ARGS=--write
  make bench ARGS='--runs 1 --data-mib 32 --virtual-mib 128 --volumes 1,2 --growth 16,32'
`,
    )
    .action(bench),
);

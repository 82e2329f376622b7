import * as fs from "node:fs";
import * as path from "node:path";
import { PulumiProject } from "../test/support/pulumi-project.ts";
import { type BenchImage, type BenchLab, flush, timed } from "./lab.ts";

function declare(bench: BenchLab, image: BenchImage, count: number): PulumiProject {
  const project = new PulumiProject(bench.lab.variables());
  const volumes = Array.from({ length: count }, () => bench.args(image));
  project.program(
    { ImageVolume: "providers/image-volume/resource.ts" },
    `${JSON.stringify(volumes)}.forEach((args) => new ImageVolume(args.volumeName, args));`,
  );
  return project;
}

/** Seconds that `pulumi preview` takes for one and for a hundred volumes, in turns. */
export async function measurePreviews(
  bench: BenchLab,
  image: BenchImage,
  runs: number,
  note: (name: "previewOne" | "previewHundred", seconds: number) => void,
): Promise<void> {
  const projects = [
    ["previewOne", declare(bench, image, 1)],
    ["previewHundred", declare(bench, image, 100)],
  ] as const;
  try {
    for (const [, project] of projects) await project.succeed("stack", "init", "bench");
    for (let run = 0; run < runs; run += 1)
      for (const [name, project] of projects)
        note(
          name,
          await timed(async () => {
            await project.succeed("preview");
          }),
        );
  } finally {
    for (const [, project] of projects) project.remove();
  }
}

/** Bytes that a second, unchanged `up` writes onto the volume, by the kernel's own count. */
export async function countUnchangedWrites(bench: BenchLab, image: BenchImage): Promise<number> {
  const project = declare(bench, image, 1);
  try {
    await project.succeed("stack", "init", "bench");
    await project.succeed("up", "--yes", "--skip-preview");
    const [volume = ""] = bench.lab.group.volumes();
    const device = path.basename(fs.realpathSync(`/dev/${bench.lab.group.name}/${volume}`));
    const sectors = (): number => {
      flush();
      const fields = fs.readFileSync(`/sys/block/${device}/stat`, "utf8").trim().split(/\s+/);
      return Number(fields[6]);
    };
    const before = sectors();
    await project.succeed("up", "--yes", "--skip-preview");
    const written = (sectors() - before) * 512;
    await project.succeed("destroy", "--yes", "--skip-preview");
    return written;
  } finally {
    project.remove();
  }
}

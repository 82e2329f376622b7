import { Command } from "commander";
import {
  ensureImages,
  type ImageName,
  imageNames,
  renderEnvironment,
} from "../stacks/observability/images/index.ts";
import { runCommand } from "./lib/cli.ts";
import { imagePrograms } from "./lib/container-images.ts";
import { cacheRoot } from "./lib/tools-paths.ts";

/** Makes the images and prints what selects them: lines of the project's .env file, or JSON. */
async function make({ json }: { json?: boolean }): Promise<void> {
  const images = await ensureImages({
    cache: cacheRoot(process.env),
    programs: imagePrograms(process.env),
    report: (line) => process.stderr.write(`${line}\n`),
  });
  if (json === true) {
    process.stdout.write(`${JSON.stringify(images, undefined, 2)}\n`);
    return;
  }
  const tags = Object.fromEntries(images.map(({ name, tag }) => [name, tag]));
  process.stdout.write(renderEnvironment(tags as Record<ImageName, string>));
  for (const { file } of images) process.stderr.write(`docker load --input ${file}\n`);
}

await runCommand(
  new Command("observability-images")
    .description(
      `Makes the container images of the observability lab without a registry: ${imageNames.join(", ")}. ` +
        "Programs come from set-up: scripts/setup --observability.",
    )
    .option("--json", "the images as JSON: name, tag and file")
    .action(make),
);
